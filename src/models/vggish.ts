/**
 * VGGish, the audio encoder (Hershey et al. 2017, "CNN architectures for large-scale audio classification",
 * https://arxiv.org/abs/1609.09430; code and weights in tensorflow/models, Apache-2.0). State-dict keys as in the
 * PyTorch port that the published system uses (github.com/harritaylor/torchvggish, Apache-2.0).
 */
import * as z from "zod";
import { count, expecting, flag, section } from "../fields.js";
import {
  add,
  clip,
  conv2d,
  dim,
  matmul,
  maxPool2d,
  mul,
  relu,
  reshape,
  round,
  sub,
  transpose,
  type Value,
} from "../graph/index.js";
import { linear, ones, type Scope, torchDefault, zeros } from "../nn/index.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** Width of the audio embedding. */
export const audioWidth = 128;

const width = count(4096);
const widths = expecting("six integers from 1 to 4096", (e) =>
  z.tuple([width, width, width, width, width, width], e).readonly(),
);

/** Sizes of a VGGish, with the published values as defaults; its embedding is 128 wide. */
export const vggishSchema = section({
  kind: z.literal("vggish").default("vggish"),
  /** Channels of the six convolutions. */
  widths: widths.default([64, 128, 256, 256, 512, 512]),
  /** Width of the two hidden linear layers. */
  hidden: count(16384).default(4096),
  /** Whether embeddings are post-processed with `pca_eigen_vectors` and `pca_means`. */
  pca: flag.default(false),
});
/** Sizes of a VGGish audio encoder. */
export type VggishConfig = Readonly<z.infer<typeof vggishSchema>>;

/** Audio encoder: `features` and `embedding` of log-mel examples. */
export interface Vggish {
  /** log-mel `f32[N,1,96,64]` -> `f32[N,C,6,4]` */
  features(logMel: Value): Value;
  /** log-mel `f32[N,1,96,64]` -> `f32[N,128]` */
  embed(logMel: Value): Value;
}

/** Convolutions and the pools after them: positions of the convolutions in the published sequence. */
const convolutions = [
  { index: 0, pool: true },
  { index: 3, pool: true },
  { index: 6, pool: false },
  { index: 8, pool: true },
  { index: 11, pool: false },
  { index: 13, pool: true },
] as const;

/** Width and height of the last feature map: 96 x 64 halved four times. */
const featureCells = 6 * 4;

/** Builds the encoder's parameters under `scope`. */
export function vggish(scope: Scope, { widths, hidden, pca }: VggishConfig): Vggish {
  const layers = convolutions.map(({ index, pool }, i) => {
    const inputs = widths[i - 1] ?? 1;
    const outputs = widths[i] ?? 1;
    const at = scope.at("features").at(index);
    const init = torchDefault(9 * inputs);
    const weight = at.param("weight", [outputs, inputs, 3, 3], init);
    const bias = at.param("bias", [outputs], init);
    return (x: Value) => {
      const y = relu(conv2d(x, weight, bias, { padding: 1 }));
      return pool ? maxPool2d(y, { kernel: 2, stride: 2 }) : y;
    };
  });
  const head = scope.at("embeddings");
  const linears = [
    linear(head.at(0), featureCells * widths[5], hidden),
    linear(head.at(2), hidden, hidden),
    linear(head.at(4), hidden, audioWidth),
  ];
  const post = pca ? postprocessor(scope.at("pproc")) : undefined;

  const features = (logMel: Value) => layers.reduce((x, layer) => layer(x), logMel);
  return {
    features,
    embed(logMel) {
      const cells = transpose(features(logMel), [0, 2, 3, 1]); // [N,6,4,C]
      const rows = reshape(cells, [dim(cells, 0), -1]);
      const embedding = linears.reduce((x, layer) => relu(layer(x)), rows); // [N,128]
      return post === undefined ? embedding : post(embedding);
    },
  };
}

/** AudioSet's post-processing: PCA, clipping to [-2,2], 8-bit steps 0..255.  `[N,128]` -> `[N,128]` */
function postprocessor(scope: Scope): (x: Value) => Value {
  const vectors = scope.buffer("pca_eigen_vectors", [audioWidth, audioWidth], ones);
  const means = scope.buffer("pca_means", [audioWidth, 1], zeros);
  return (x) => {
    const centered = sub(x, reshape(means, [1, audioWidth]));
    const rotated = clip(matmul(centered, vectors, { transB: true }), -2, 2);
    return round(mul(add(rotated, 2), 255 / 4));
  };
}

/** Sizes of the VGGish whose state dict has these tensors. */
export function inferVggish({ has, size }: StateDictShapes): VggishConfig {
  const width = (index: number) => size(`features.${index}.weight`);
  return {
    kind: "vggish",
    widths: [width(0), width(3), width(6), width(8), width(11), width(13)],
    hidden: size("embeddings.0.weight"),
    pca: has("pproc.pca_eigen_vectors"),
  };
}
