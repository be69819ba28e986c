/** Models small enough for tests, of every published form. */

import { buildAvsModel } from "../src/models/avs-model.js";
import type { AvsModelConfig, SeavsConfig } from "../src/models/model-config.js";
import { publishedModel } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import type { Tensor } from "../src/tensor.js";
import { seededParameter } from "./support.js";

const audio: SeavsConfig["audio"] = { widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false };
const visual = pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 2, 1], loraRank: 4 });

function shrunk(base: SeavsConfig): SeavsConfig {
  return { ...base, imageSize: 64, audio, decoder: { ...base.decoder, convDim: 32 } };
}

/** S4 with a PVTv2 that has low-rank adapters, 64 x 64 frames. */
export const tinyS4: SeavsConfig = shrunk(publishedModel({ task: "s4", visual }));

/** AVSS with three classes. */
export const tinyAvss: SeavsConfig = shrunk(
  publishedModel({ task: "avss", visual, classes: ["background", "bell", "drum"] }),
);

/** ResNet-50 with channel attention after the projection, positions encoded. */
export const tinyResNet: SeavsConfig = (() => {
  const base = shrunk(publishedModel({ task: "ms3", visual: { kind: "resnet50", freezeBatchNorm: false } }));
  return { ...base, decoder: { ...base.decoder, channel: true, positionEncoding: true } };
})();

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
