/**
 * EfficientNet-Lite 0 to 4 (Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional neural networks",
 * https://arxiv.org/abs/1905.11946; the Lite variants without squeeze-and-excitation and with ReLU6 are from
 * tensorflow/tpu, Apache-2.0). State-dict keys as in EfficientNet-PyTorch (Apache-2.0).
 */
import * as z from "zod";
import { expecting, flag, section } from "../fields.js";
import { add, clip, type Value } from "../graph/index.js";
import { convNorm, linear, type MapLayer, recomputed, type Scope, toMap, toTokens } from "../nn/index.js";
import {
  type Classify,
  defineVisualEncoder,
  imageNetClasses,
  type PerStage,
  type VisualEncoder,
} from "./encoder-definition.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

const multiplier = expecting("a number from 0.1 to 4", (e) => z.number(e).min(0.1, e).max(4, e));

/** Settings of an EfficientNet-Lite, with those of Lite0 as defaults. */
export const efficientNetLiteSchema = section({
  kind: z.literal("efficientnet-lite"),
  /** Multiplies the channels of all groups of blocks; the stem keeps its 32. */
  width: multiplier.default(1),
  /** Multiplies the blocks of all groups but the first and the last. */
  depth: multiplier.default(1),
  /** Normalize by the batch's statistics in training, and update the running ones. */
  batchStatistics: flag.default(false),
  /** With the published classifier of ImageNet's classes, for `model.concepts.classes`. */
  classifier: flag.default(false),
});
/** An EfficientNet-Lite encoder. */
export type EfficientNetLiteConfig = Readonly<z.infer<typeof efficientNetLiteSchema>>;

const sizes = {
  "efficientnet-lite": {},
  "efficientnet-lite0": { width: 1, depth: 1 },
  "efficientnet-lite1": { width: 1, depth: 1.1 },
  "efficientnet-lite2": { width: 1.1, depth: 1.2 },
  "efficientnet-lite3": { width: 1.2, depth: 1.4 },
  "efficientnet-lite4": { width: 1.4, depth: 1.8 },
};

const stemChannels = 32;
/** Channels before the classifier. */
const headChannels = 1280;

/** Blocks of the same width; the first has the stride. */
interface Group {
  readonly repeats: number;
  readonly kernel: number;
  readonly stride: number;
  /** Channels inside a block, in multiples of its inputs. */
  readonly expansion: number;
  readonly outputs: number;
}

/** The groups at width and depth 1, by the stage that they belong to. */
const groupsOfStages: readonly (readonly Group[])[] = [
  [
    { repeats: 1, kernel: 3, stride: 1, expansion: 1, outputs: 16 },
    { repeats: 2, kernel: 3, stride: 2, expansion: 6, outputs: 24 },
  ],
  [{ repeats: 2, kernel: 5, stride: 2, expansion: 6, outputs: 40 }],
  [
    { repeats: 3, kernel: 3, stride: 2, expansion: 6, outputs: 80 },
    { repeats: 3, kernel: 5, stride: 1, expansion: 6, outputs: 112 },
  ],
  [
    { repeats: 4, kernel: 5, stride: 2, expansion: 6, outputs: 192 },
    { repeats: 1, kernel: 3, stride: 1, expansion: 6, outputs: 320 },
  ],
];

/** A multiple of eight near `channels * width`, at least nine tenths of it. */
function scaledChannels(channels: number, width: number): number {
  const exact = channels * width;
  const near = Math.max(8, Math.floor((exact + 4) / 8) * 8);
  return near < 0.9 * exact ? near + 8 : near;
}

/** The groups of a size. Groups of a single block (the first and the last) are never repeated. */
function scaledStages({ width, depth }: EfficientNetLiteConfig): Group[][] {
  return groupsOfStages.map((groups) =>
    groups.map((group) => ({
      ...group,
      repeats: group.repeats === 1 ? 1 : Math.ceil(group.repeats * depth - 1e-9),
      outputs: width === 1 ? group.outputs : scaledChannels(group.outputs, width),
    })),
  );
}

function stageChannels(config: EfficientNetLiteConfig): PerStage {
  const [a = 0, b = 0, c = 0, d = 0] = scaledStages(config).map((groups) =>
    groups.reduce((_, { outputs }) => outputs, 0),
  );
  return [a, b, c, d];
}

const relu6 = (x: Value) => clip(x, 0, 6);

/** Published settings of all normalizations. */
function normOf({ batchStatistics }: EfficientNetLiteConfig) {
  return { epsilon: 1e-3, momentum: 0.01, frozen: !batchStatistics };
}

/** A 1x1 convolution up, a depthwise one, a 1x1 down, and the input added where the sizes allow it. */
function invertedResidual(
  scope: Scope,
  { inputs, outputs, kernel, stride, expansion }: Omit<Group, "repeats"> & { readonly inputs: number },
  config: EfficientNetLiteConfig,
): MapLayer {
  const inner = inputs * expansion;
  const norm = normOf(config);
  const expand =
    expansion === 1
      ? undefined
      : convNorm(scope.at("_expand_conv"), scope.at("_bn0"), { inputs, outputs: inner, kernel: 1, norm });
  const depthwise = convNorm(scope.at("_depthwise_conv"), scope.at("_bn1"), {
    ...{ inputs: inner, outputs: inner, kernel, stride, groups: inner },
    padding: "same",
    norm,
  });
  const project = convNorm(scope.at("_project_conv"), scope.at("_bn2"), {
    ...{ inputs: inner, outputs, kernel: 1 },
    norm,
  });
  return (x, pass) => {
    const expanded = expand === undefined ? x : relu6(expand(x, pass));
    const y = project(relu6(depthwise(expanded, pass)), pass);
    return stride === 1 && inputs === outputs ? add(y, x) : y;
  };
}

/** Builds the encoder's parameters under `scope`. */
export function efficientNetLite(scope: Scope, config: EfficientNetLiteConfig): VisualEncoder {
  const stem = convNorm(scope.at("_conv_stem"), scope.at("_bn0"), {
    ...{ inputs: 3, outputs: stemChannels, kernel: 3, stride: 2 },
    padding: "same",
    norm: normOf(config),
  });
  let inputs = stemChannels;
  let block = 0;
  const stages = scaledStages(config).map((groups) =>
    groups.flatMap(({ repeats, ...group }) =>
      Array.from({ length: repeats }, (_, k) => {
        const sizes = { ...group, inputs, stride: k === 0 ? group.stride : 1 };
        inputs = group.outputs;
        return invertedResidual(scope.at("_blocks").at(block++), sizes, config);
      }),
    ),
  );
  return {
    dims: stageChannels(config),
    stem: (frames, pass) => relu6(stem(frames, pass)),
    stage(i, map, pass) {
      const stage = stages[i];
      if (stage === undefined) throw new RangeError(`efficientnet-lite: no stage ${i}`);
      return toTokens(stage.reduce((x, layer) => recomputed(layer)(x, pass), map));
    },
    classify: config.classifier ? classifier(scope, inputs, config) : undefined,
  };
}

/** Builds the classifier. Its layers act on single cells, and the published one averages cells before the last, a linear one. */
function classifier(scope: Scope, inputs: number, config: EfficientNetLiteConfig): Classify {
  const head = convNorm(scope.at("_conv_head"), scope.at("_bn1"), {
    ...{ inputs, outputs: headChannels, kernel: 1 },
    norm: normOf(config),
  });
  const name = linear(scope.at("_fc"), headChannels, imageNetClasses);
  return (tokens, pass) => name(toTokens(relu6(head(toMap(tokens), pass))).tokens);
}

/** The size whose blocks a state dict has; `undefined` for another encoder. */
function infer({ has, size }: StateDictShapes): EfficientNetLiteConfig | undefined {
  if (!has("_conv_stem.weight")) return undefined;
  return Object.values(sizes)
    .map((fixed) => efficientNetLiteSchema.parse({ kind: "efficientnet-lite", ...fixed }))
    .find((config) => {
      const blocks = scaledStages(config).flatMap((groups) => groups.flatMap(({ repeats }) => repeats));
      const last = blocks.reduce((sum, n) => sum + n, 0) - 1;
      const key = `_blocks.${last}._project_conv.weight`;
      return has(key) && !has(`_blocks.${last + 1}._bn1.weight`) && size(key) === stageChannels(config)[3];
    });
}

/** EfficientNet-Lite as one of the visual encoders. */
export const efficientNetLiteEncoder = defineVisualEncoder({
  schema: efficientNetLiteSchema,
  sizes,
  configFields: {
    width: multiplier.optional(),
    depth: multiplier.optional(),
    batchStatistics: efficientNetLiteSchema.shape.batchStatistics,
    classifier: efficientNetLiteSchema.shape.classifier,
  },
  frames: { mean: [127 / 255, 127 / 255, 127 / 255], deviation: [128 / 255, 128 / 255, 128 / 255] },
  dims: stageChannels,
  build: efficientNetLite,
  infer,
});
