/** A whole model, small enough for any test: seeded weights, 64x64 frames, and masks that are neither empty nor full. */

import { buildAvsModel } from "../src/models/avs-model.js";
import { modelConfigToJson, publishedModel, type SeavsConfig } from "../src/models/model-config.js";
import { pvtV2Config } from "../src/models/pvt-v2.js";
import type { VggishConfig } from "../src/models/vggish.js";
import type { TensorOf } from "../src/tensor.js";
import { writeSafetensors } from "../src/weights/node/safetensors-file.js";
import { seededParameter, seededUniform } from "./support.js";

const base = publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b0") });

/** What `writeTinyModel` writes. */
export const tinyConfig: SeavsConfig & { readonly audio: VggishConfig } = {
  ...base,
  imageSize: 64,
  visual: pvtV2Config("pvt-v2-b0", { dims: [16, 32, 40, 64], depths: [1, 1, 2, 1] }),
  audio: { kind: "vggish", widths: [4, 4, 8, 8, 8, 8], hidden: 16, pca: false },
  decoder: { ...base.decoder, convDim: 32 },
};

/** Writes the model as one checkpoint that holds everything; `bias` is added to all logits. */
export async function writeTinyModel(file: string, bias = 0): Promise<void> {
  const weights = new Map(
    buildAvsModel(tinyConfig).specs.map(({ key, shape }): [string, TensorOf<"f32">] => [
      key,
      seededParameter(key, shape),
    ]),
  );
  const offset = weights.get("decoder.mask_features.bias");
  if (offset)
    offset.data.forEach((b, i) => {
      offset.data[i] = b + bias;
    });
  await writeSafetensors(file, weights, {
    metadata: { format: "avseg-checkpoint-1", model: modelConfigToJson(tinyConfig) },
  });
}

/** `count` pictures of noise in blocks, `u8[height,width,3]`, and as many seconds of noise at 16 kHz. */
export function tinyClip(count: number, width = 100, height = 80) {
  const frames = Array.from({ length: count }, (_, t): TensorOf<"u8"> => {
    const noise = seededUniform(`picture ${t}`, 3 * 100);
    const data = new Uint8Array(width * height * 3);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const cell = Math.floor((10 * y) / height) * 10 + Math.floor((10 * x) / width);
        for (let c = 0; c < 3; c++) data[(y * width + x) * 3 + c] = 127.5 * (1 + noise[cell * 3 + c]!);
      }
    }
    return { dtype: "u8", shape: [height, width, 3], data };
  });
  const samples = seededUniform("sound", count * 16_000).map((u, i) => u * Math.abs(Math.sin(i / 4000)));
  return { frames, audio: { sampleRateHz: 16_000, channels: [samples] } };
}
