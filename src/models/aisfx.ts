/**
 * aiSFX, an embedding of sound effects ("Aggregating datasets for sound effect representations", ISMIR 2022; weights
 * CC BY 4.0 and code MIT, in the package aisfx on PyPI). A plain CNN over a mel spectrogram, of 2.3 s in its
 * package and of single seconds here; state-dict keys as in its checkpoint below `embedding_net`.
 */
import * as z from "zod";
import { count, section } from "../fields.js";
import { max, maxPool2d, mean, relu, type Value } from "../graph/index.js";
import { convNorm, Pass, type Scope } from "../nn/index.js";
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

/** Builds the encoder's parameters under `scope`.  blocks `f32[N,1,F,96]` (see `aisfxSeconds`) -> `f32[N,8*width]` */
export function aisfx(scope: Scope, { width }: AisfxConfig): (blocks: Value) => Value {
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
  return (blocks) => {
    const map = layers.reduce((x, layer) => layer(x, pass), blocks); // [N,C,F/8,12]
    return max(mean(map, { axes: [3] }), { axes: [2] });
  };
}

/** Sizes of the encoder whose state dict has these tensors; `undefined` for another one. */
export function inferAisfx({ has, size }: StateDictShapes): AisfxConfig | undefined {
  const first = "conv_block1.conv1.weight";
  return has(first) ? { kind: "aisfx", width: size(first) } : undefined;
}
