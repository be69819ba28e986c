/**
 * ResNet-50 (He et al. 2016, "Deep residual learning for image recognition", https://arxiv.org/abs/1512.03385; the
 * stride is in the 3x3 convolution, as in torchvision, BSD-3-Clause), the other published visual encoder.
 * Its last two stages exist twice in checkpoints; the second copies are unused, as published.
 */

import * as z from "zod";
import { at } from "../arrays.js";
import { flag, section } from "../fields.js";

import { add, maxPool2d, relu } from "../graph/index.js";
import {
  type ConvNormOptions,
  convNorm,
  type MapLayer,
  recomputed,
  type Scope,
  toTokens,
} from "../nn/index.js";
import { defineVisualEncoder, type PerStage, type VisualEncoder } from "./encoder-definition.js";
import { imagenetNormalization } from "./normalize-frames.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** Settings of a ResNet-50, with the published values as defaults. */
const resnetSchema = section({
  kind: z.literal("resnet50"),
  /** Use and keep the running statistics in training (published: batch statistics). */
  freezeBatchNorm: flag.default(false),
});
/** A ResNet-50 encoder. */
export type ResNetConfig = Readonly<z.infer<typeof resnetSchema>>;

const resnetDims: PerStage = [256, 512, 1024, 2048];
const depths: PerStage = [3, 4, 6, 3];
const names = ["layer1", "layer2", "layer3_1", "layer4_1"] as const;

/** A convolution of this encoder and its batch norm. */
function convolution(
  { conv, norm }: { readonly conv: Scope; readonly norm: Scope },
  sizes: ConvNormOptions,
  { freezeBatchNorm }: ResNetConfig,
): MapLayer {
  return convNorm(conv, norm, { ...sizes, norm: { frozen: freezeBatchNorm } });
}

/** 1x1 down to a quarter, 3x3, 1x1 up, and the shortcut. */
function bottleneck(
  scope: Scope,
  { inputs, outputs, stride }: Omit<ConvNormOptions, "kernel" | "norm">,
  config: ResNetConfig,
): MapLayer {
  const inner = outputs / 4;
  const step = (k: 1 | 2 | 3, sizes: ConvNormOptions) =>
    convolution({ conv: scope.at(`conv${k}`), norm: scope.at(`bn${k}`) }, sizes, config);
  const narrow = step(1, { inputs, outputs: inner, kernel: 1 });
  const mix = step(2, { inputs: inner, outputs: inner, kernel: 3, stride });
  const widen = step(3, { inputs: inner, outputs, kernel: 1 });
  const down = scope.at("downsample");
  const shortcut: MapLayer =
    inputs === outputs
      ? (x) => x
      : convolution({ conv: down.at(0), norm: down.at(1) }, { inputs, outputs, kernel: 1, stride }, config);
  return (x, pass) => {
    const y = widen(relu(mix(relu(narrow(x, pass)), pass)), pass);
    return relu(add(y, shortcut(x, pass)));
  };
}

function makeStage(scope: Scope, index: number, config: ResNetConfig): MapLayer {
  const outputs = at(resnetDims, index);
  const inputs = resnetDims[index - 1] ?? 64;
  const blocks = Array.from({ length: at(depths, index) }, (_, k) =>
    recomputed(
      bottleneck(
        scope.at(k),
        { inputs: k === 0 ? inputs : outputs, outputs, stride: k === 0 && index > 0 ? 2 : 1 },
        config,
      ),
    ),
  );
  return (x, pass) => blocks.reduce((y, block) => block(y, pass), x);
}

/** Builds the encoder's parameters under `scope`. */
export function resnet50(scope: Scope, config: ResNetConfig): VisualEncoder {
  const first = convolution(
    { conv: scope.at("conv1"), norm: scope.at("bn1") },
    { inputs: 3, outputs: 64, kernel: 7, stride: 2 },
    config,
  );
  const stages = names.map((name, i) => makeStage(scope.at(name), i, config));
  makeStage(scope.at("layer3_2").unused(), 2, config);
  makeStage(scope.at("layer4_2").unused(), 3, config);
  return {
    dims: resnetDims,
    stem: (frames, pass) => maxPool2d(relu(first(frames, pass)), { kernel: 3, stride: 2, padding: 1 }),
    stage: (i, map, pass) => {
      const stage = stages[i];
      if (stage === undefined) throw new RangeError(`resnet50: no stage ${i}`);
      return toTokens(stage(map, pass));
    },
  };
}

/** ResNet-50 as one of the visual encoders. */
export const resnetEncoder = defineVisualEncoder({
  schema: resnetSchema,
  sizes: { resnet50: {} },
  configFields: { freezeBatchNorm: resnetSchema.shape.freezeBatchNorm },
  frames: imagenetNormalization,
  dims: () => resnetDims,
  build: resnet50,
  infer: ({ has }: StateDictShapes) =>
    has("conv1.weight") ? resnetSchema.parse({ kind: "resnet50" }) : undefined,
});
