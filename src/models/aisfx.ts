/**
 * aiSFX, an embedding of sound effects ("Aggregating datasets for sound effect representations", ISMIR 2022; weights
 * CC BY 4.0 and code MIT, in the package aisfx on PyPI). A plain CNN over a mel spectrogram, and the maxima of its features
 * over blocks of 2.3 s; state-dict keys as in its checkpoint below `embedding_net`.
 */
import * as z from "zod";
import { count, section } from "../fields.js";
import {
  concat,
  dim,
  max,
  maxPool2d,
  mean,
  relu,
  reshape,
  slice,
  transpose,
  type Value,
} from "../graph/index.js";
import { convNorm, Pass, type Scope } from "../nn/index.js";
import { aisfxFrameSeconds } from "./aisfx-spectrogram.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** Sizes of an aiSFX encoder, with the published values as defaults. */
export const aisfxSchema = section({
  kind: z.literal("aisfx"),
  /** Channels of the first block; every other block has twice as many as the one before it. */
  width: count(1024).default(64),
});
/** Sizes of an aiSFX encoder. */
export type AisfxConfig = Readonly<z.infer<typeof aisfxSchema>>;

/** Sides of the maximum pooling after each block. */
const pools = [2, 2, 2, 1] as const;

/** Width of the embedding. */
export function aisfxWidth({ width }: AisfxConfig): number {
  return width * 2 ** (pools.length - 1);
}

/** Frames of a spectrogram that one column of the features stands for. */
const columnFrames = pools.reduce<number>((product, pool) => product * pool, 1);
/** Length of the blocks that the published encoder embeds: 100 frames. */
const blockSeconds = 100 * aisfxFrameSeconds;

/** An encoder over its parameters. */
export interface Aisfx {
  /** Blocks `f32[N,F,96]` -> an embedding of each, `f32[N,8*width]`. */
  blocks(spectrograms: Value): Value;
  /**
   * Clips of `seconds` s, `f32[B,F,96]` -> an embedding of every second, `f32[B*seconds,8*width]`: that of the block around
   * its middle, or of the part of it that the clip has.
   */
  seconds(spectrograms: Value, seconds: number): Value;
}

/** Builds the encoder's parameters under `scope`. */
export function aisfx(scope: Scope, { width }: AisfxConfig): Aisfx {
  let inputs = 1;
  const layers = pools.flatMap((pool, i) => {
    const at = scope.at(`conv_block${i + 1}`);
    const outputs = width * 2 ** i;
    const step = (k: 1 | 2, inputs: number) =>
      convNorm(at.at(`conv${k}`), at.at(`bn${k}`), { inputs, outputs, kernel: 3, norm: { frozen: true } });
    const [first, second] = [step(1, inputs), step(2, outputs)];
    inputs = outputs;
    return (x: Value, pass: Pass) => {
      const y = relu(second(relu(first(x, pass)), pass));
      return pool === 1 ? y : maxPool2d(y, { kernel: pool, stride: pool });
    };
  });
  const pass = new Pass();
  /** `f32[N,F,96]` -> `f32[N,8*width,floor(F/8)]` */
  const columnsOf = (spectrograms: Value) => {
    const [count, frames, bands] = [dim(spectrograms, 0), dim(spectrograms, 1), dim(spectrograms, 2)];
    const map = reshape(spectrograms, [count, 1, frames, bands]);
    return mean(
      layers.reduce((x, layer) => layer(x, pass), map), // [N,8*width,floor(F/8),12]
      { axes: [3] },
    );
  };
  return {
    blocks: (spectrograms) => max(columnsOf(spectrograms), { axes: [2] }),
    seconds(spectrograms, seconds) {
      const columns = columnsOf(spectrograms);
      const maxima = Array.from({ length: seconds }, (_, second) => {
        const range = columnsAround(second + 0.5, dim(columns, 2));
        return max(slice(columns, [{ axis: 2, ...range }]), { axes: [2], keepDims: true });
      });
      return reshape(transpose(concat(maxima, 2), [0, 2, 1]), [-1, dim(columns, 1)]);
    },
  };
}

/** The columns, of `count`, whose middles lie in the block around a time. */
function columnsAround(timeSeconds: number, count: number): { readonly start: number; readonly end: number } {
  const columnSeconds = columnFrames * aisfxFrameSeconds;
  const first = ((columnFrames - 1) / 2) * aisfxFrameSeconds; // the middle of column 0
  const start = Math.ceil((timeSeconds - blockSeconds / 2 - first) / columnSeconds);
  const end = Math.floor((timeSeconds + blockSeconds / 2 - first) / columnSeconds) + 1;
  return { start: Math.max(0, start), end: Math.min(count, end) };
}

/** Sizes of the encoder whose state dict has these tensors; `undefined` for another one. */
export function inferAisfx({ has, size }: StateDictShapes): AisfxConfig | undefined {
  const first = "conv_block1.conv1.weight";
  return has(first) ? { kind: "aisfx", width: size(first) } : undefined;
}
