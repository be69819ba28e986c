/**
 * Unusual clips through small models of other published systems, in Node and in WASM, against PyTorch models that were written
 * from the descriptions alone (`tools/reference/unusual.py`).
 */
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { constant, emitOnnx, max, reshape, transpose, type Value } from "../src/graph/index.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { type AvsegformerConfig, avsegformerSchema } from "../src/models/avsegformer/avsegformer.js";
import { buildDenseavEncoders, denseavSettingsSchema } from "../src/models/denseav/denseav.js";
import { blurred, similarity } from "../src/models/denseav/heatmap.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import { buildSelm, type SelmConfig, selmSchema } from "../src/models/selm/selm.js";
import { type TpaviConfig, tpaviSchema } from "../src/models/tpavi/tpavi.js";
import { Pass, toMap } from "../src/nn/index.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import type { Runtime } from "../src/runtime/runtime.js";
import { full, type Tensor } from "../src/tensor.js";
import { shown } from "./denseav-maps.js";
import { reference } from "./reference.js";
import { seededInput, seededParameter } from "./support.js";
import { wasmRuntime } from "./wasm.js";

const runtimes: Record<string, Runtime> = { Node: nodeRuntime(), WASM: wasmRuntime() };
after(() => Promise.all(Object.values(runtimes).map((runtime) => runtime.close())));

/** Compares the outputs of a case with PyTorch's on both runtimes. */
function agrees(name: string, tolerance: number, build: () => Record<string, Value>): void {
  test(name, async () => {
    const { assertClose, keys } = await reference("unusual");
    const outputs = build();
    const stored = keys.filter((key) => key.startsWith(`${name}: `)).map((key) => key.slice(name.length + 2));
    assert.deepEqual(Object.keys(outputs).sort(), stored.sort());
    for (const [where, runtime] of Object.entries(runtimes)) {
      const graph = emitOnnx(outputs, { target: runtime.supports });
      const weights = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
      const session = await runtime.createSession({ graph, weights, name: where });
      const found = await session.run({});
      await session.close();
      for (const key of stored) assertClose(found[key], `${name}: ${key}`, tolerance);
    }
  });
}

/** What all systems have in common here. */
const base = {
  classes: ["sounding object"],
  frameCount: 5,
  imageSize: 64,
  visual: pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 1, 1], mlpRatios: [4, 4, 4, 4] }),
  audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 },
};
const padded = { task: "avss", classes: ["background", "dog", "piano"], frameCount: 10 } as const;

/** A clip, or several. */
interface Clip {
  readonly count: number;
  readonly size?: number | undefined;
  /** The log-mels are those of digital silence. */
  readonly silent?: boolean | undefined;
  readonly black?: boolean | undefined;
  readonly keep?: readonly number[] | undefined;
}

const mean = [0.485, 0.456, 0.406];
const deviation = [0.229, 0.224, 0.225];

/** Pixels of a black picture after normalization. */
function black(shape: readonly [count: number, channels: number, height: number, width: number]): Tensor {
  const frames = full([...shape], 0);
  const area = shape[2] * shape[3];
  frames.data.forEach((_, i) => {
    const channel = Math.floor(i / area) % 3;
    frames.data[i] = -(mean[channel] ?? 0) / (deviation[channel] ?? 1);
  });
  return frames;
}

function inputsOf(model: { embedAudio(logMel: Value): Value }, clip: Clip) {
  const { count, size = 64, keep } = clip;
  const shape = [count, 3, size, size] as const;
  const logMel = clip.silent
    ? full([count, 1, 96, 64], Math.log(0.01))
    : seededInput("log_mel", [count, 1, 96, 64], 3);
  const frameMask = keep && { dtype: "f32" as const, shape: [count], data: Float32Array.from(keep) };
  return {
    frames: constant(clip.black ? black(shape) : seededInput("frames", [...shape], 2)),
    embedding: model.embedAudio(constant(logMel)),
    ...(frameMask && { frameMask: constant(frameMask) }),
  };
}

const holes = [1, 0, 1, 1, 0, 0, 0, 0, 0, 0];

const tpavi = (clip: Clip, changes: Partial<TpaviConfig> = {}) => {
  const sizes = { ...base, imageSize: clip.size ?? 64, tpavi: { channels: 16 } };
  const model = buildAvsModel(tpaviSchema.parse({ kind: "tpavi", task: "ms3", ...sizes, ...changes }));
  const { logits, matching } = model.forward(inputsOf(model, clip), new Pass());
  return { logits, map: matching?.maps[3] ?? assert.fail() };
};
agrees("tpavi: frames of 32 pixels", 1e-4, () => tpavi({ count: 5, size: 32 }));
agrees("tpavi: two clips, black and silent", 1e-4, () =>
  tpavi({ count: 10, size: 96, black: true, silent: true }),
);
agrees("tpavi: padding within a clip", 1e-4, () => tpavi({ count: 10, keep: holes }, padded));

const avsegformer = (clip: Clip, changes: Partial<AvsegformerConfig> = {}, generatorLayers = 2) => {
  const settings = {
    ...{ generatorLayers, encoderLayers: 2, decoderLayers: 2, width: 32, generatorHidden: 16 },
    ...{ hidden: 24, headHidden: 20, heads: 4, queries: 6, points: 2, groups: 4 },
  };
  const config = { ...base, imageSize: clip.size ?? 64, avsegformer: settings, ...changes };
  const model = buildAvsModel(avsegformerSchema.parse({ kind: "avsegformer", task: "ms3", ...config }));
  const { logits, maskFeature } = model.forward(inputsOf(model, clip), new Pass());
  return { logits, feature: maskFeature ?? assert.fail() };
};
agrees("avsegformer: one silent frame of 32 pixels", 1e-4, () =>
  avsegformer({ count: 1, size: 32, silent: true }, { frameCount: 1 }),
);
agrees("avsegformer: two clips, black", 1e-4, () => avsegformer({ count: 10, size: 96, black: true }));
agrees("avsegformer: padding within a clip", 1e-4, () => avsegformer({ count: 10, keep: holes }, padded));
agrees("avsegformer: queries of before August 2023", 1e-4, () => avsegformer({ count: 5 }, {}, 0));

const selm = (clip: Clip, maskSize: number, changes: Partial<SelmConfig> = {}) => {
  const config = { ...base, selm: { maskSize, width: 32, groups: 4, enlargements: 2 }, ...changes };
  const model = buildSelm(selmSchema.parse({ kind: "selm", task: "ms3", ...config }));
  const { logits, levels } = model.trace(inputsOf(model, clip), new Pass());
  return { logits, tokens: levels.at(-1)?.tokens ?? assert.fail() };
};
agrees("selm: a clip of one frame", 1e-4, () => selm({ count: 1 }, 24, { frameCount: 1 }));
agrees("selm: two clips", 1e-4, () => selm({ count: 10 }, 24));
agrees("selm: black and silent", 1e-4, () => selm({ count: 5, black: true, silent: true }, 40));
agrees("selm: padding within a clip", 1e-4, () => selm({ count: 10, keep: holes }, 64, padded));
agrees("selm: ResNet-50", 1e-4, () =>
  selm({ count: 5 }, 64, { visual: { kind: "resnet50", freezeBatchNorm: false } }),
);

const denseav = (frames: Tensor, sound: Tensor) => {
  const settings = denseavSettingsSchema.parse({
    ...{ width: 24, heads: 2, alignerHeads: 2, frames: { width: 24, depth: 2, heads: 2, side: 3 } },
    sound: {
      ...{ convWidth: 8, width: 32, depth: 2, heads: 2, hidden: 48 },
      ...{ positionKernel: 8, positionGroups: 4 },
    },
  });
  const { encodeFrames, encodeSound } = buildDenseavEncoders(settings);
  const grid = encodeFrames(constant(frames), new Pass());
  const steps = encodeSound(constant(sound), new Pass()); // [1,T,D]
  const heat = max(similarity(grid.tokens, steps, 2), { axes: [1], keepDims: true });
  const [count = 0, , height = 0, width = 0] = frames.shape;
  return {
    frames: toMap(grid),
    sound: transpose(steps, [0, 2, 1]),
    shown: reshape(shown(blurred(heat), grid), [count, height, width]),
  };
};
/** Seeded attention is so sharp that rounding grows in it. */
const rounding = 1e-3;
agrees("denseav: frames and sounds of odd sizes", rounding, () =>
  denseav(seededInput("frames", [2, 3, 40, 72], 2), seededInput("wave", [1, 17_001], 0.5)),
);
agrees("denseav: frames of one row, the shortest sound", rounding, () =>
  denseav(seededInput("frames", [1, 3, 8, 72], 2), seededInput("wave", [1, 3600], 0.5)),
);
agrees("denseav: black and silent", rounding, () => denseav(black([3, 3, 24, 24]), full([1, 16_000], 0)));
