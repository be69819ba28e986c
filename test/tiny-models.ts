/** Models small enough for tests, of every published form. */

import type { ClipBatch } from "../src/inference/predictor.js";
import { buildAvsModel } from "../src/models/avs-model.js";
import { type AvsegformerConfig, avsegformerSchema } from "../src/models/avsegformer/avsegformer.js";
import { type DenseavConfig, denseavSchema } from "../src/models/denseav/system.js";
import type { AvsModelConfig, SeavsConfig } from "../src/models/model-config.js";
import { publishedModel } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import { type SelmConfig, selmSchema } from "../src/models/selm/selm.js";
import { type TpaviConfig, tpaviSchema } from "../src/models/tpavi/tpavi.js";
import type { VggishConfig } from "../src/models/vggish.js";
import type { Tensor } from "../src/tensor.js";
import { seededInput, seededParameter, seededUniform } from "./support.js";

const audio: VggishConfig = { kind: "vggish", widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false };
const visual = pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 2, 1], loraRank: 4 });

/** A model of SeaVS with VGGish. */
type TinyConfig = SeavsConfig & { readonly audio: VggishConfig };

function shrunk(base: SeavsConfig): TinyConfig {
  return { ...base, imageSize: 64, audio, decoder: { ...base.decoder, convDim: 32 } };
}

/** S4 with a PVTv2 that has low-rank adapters, 64 x 64 frames. */
export const tinyS4: TinyConfig = shrunk(publishedModel({ task: "s4", visual }));

/** AVSS with three classes. */
export const tinyAvss: SeavsConfig = shrunk(
  publishedModel({ task: "avss", visual, classes: ["background", "bell", "drum"] }),
);

/** ResNet-50 with channel attention after the projection, positions encoded. */
export const tinyResNet: SeavsConfig = (() => {
  const base = shrunk(publishedModel({ task: "ms3", visual: { kind: "resnet50", freezeBatchNorm: false } }));
  return { ...base, decoder: { ...base.decoder, channel: true, positionEncoding: true } };
})();

/** TPAVI in MS3. */
export const tinyTpavi: TpaviConfig = tpaviSchema.parse({
  ...{ kind: "tpavi", task: "ms3", classes: ["sounding object"], frameCount: 5, imageSize: 64 },
  ...{ visual: pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 1, 1] }), audio },
  tpavi: { channels: 16 },
});

/** AVSegFormer in AVSS with three classes. */
export const tinyAvsegformer: AvsegformerConfig = avsegformerSchema.parse({
  ...{ kind: "avsegformer", task: "avss", classes: ["background", "bell", "drum"] },
  ...{ frameCount: 10, imageSize: 64, visual: tinyTpavi.visual, audio },
  avsegformer: {
    ...{ generatorLayers: 1, encoderLayers: 1, decoderLayers: 1 },
    ...{ width: 32, generatorHidden: 16, hidden: 24, headHidden: 20 },
    ...{ heads: 4, queries: 6, points: 2, groups: 4 },
  },
});

/** SelM in MS3: its logits are smaller than its frames. */
export const tinySelm: SelmConfig = selmSchema.parse({
  ...{ kind: "selm", task: "ms3", classes: ["sounding object"], frameCount: 5, imageSize: 64 },
  ...{ visual: tinyTpavi.visual, audio },
  selm: { maskSize: 32, width: 32, groups: 4, enlargements: 2 },
});

/** DenseAV in S4: one layer of everything, with low-rank adapters in the visual encoder. */
export const tinyDenseav: DenseavConfig = denseavSchema.parse({
  ...{ kind: "denseav", task: "s4", classes: ["sounding object"], frameCount: 5, imageSize: 64 },
  denseav: {
    ...{ width: 24, heads: 2, alignerHeads: 2 },
    frames: { width: 24, depth: 1, heads: 2, side: 4, loraRank: 2 },
    sound: {
      ...{ convWidth: 8, width: 32, depth: 1, heads: 2, hidden: 48 },
      ...{ positionKernel: 8, positionGroups: 4 },
    },
  },
});

/** Seeded weights of all parameters of a model. */
export function seededWeights(config: AvsModelConfig): Map<string, Tensor> {
  return new Map(
    buildAvsModel(config).specs.map((spec): [string, Tensor] => [
      spec.key,
      spec.dtype === "i64"
        ? { dtype: "i64", shape: spec.shape, data: new BigInt64Array(1) }
        : seededParameter(spec.key, spec.shape),
    ]),
  );
}

/** A batch of noise for a model, of which no frame is padded. `logMelScale` makes its sounds louder. Defaults: 1. */
export function seededBatch(
  { frameCount, imageSize }: Pick<AvsModelConfig, "frameCount" | "imageSize">,
  { clips = 1, logMelScale = 1 }: { readonly clips?: number; readonly logMelScale?: number } = {},
): ClipBatch {
  const n = clips * frameCount;
  const u = seededUniform("frames", n * imageSize * imageSize * 3);
  return {
    frames: {
      dtype: "u8",
      shape: [n, imageSize, imageSize, 3],
      data: Uint8Array.from(u, (v) => (v + 1) * 127.5),
    },
    logMel: seededInput("mel", [n, 1, 96, 64], logMelScale),
    frameMask: { dtype: "f32", shape: [n], data: new Float32Array(n).fill(1) },
  };
}
