/** From encoded tokens and queries to logits: the mask feature, the mixer that gates it by the audio, the head. */
import {
  add,
  affine,
  conv2d,
  dim,
  matmul,
  mul,
  relu,
  reshape,
  resize,
  shape4,
  sigmoid,
  softmax,
  split,
  type Value,
} from "../../graph/index.js";
import {
  attend,
  fromHeadBlocks,
  groupNorm,
  headBlocks,
  type Pass,
  projection,
  type Scope,
  toTokens,
  upsampledConv,
  xavierUniform,
} from "../../nn/index.js";
import { conv, dense } from "./layers.js";

/** A 1x1 or 3x3 convolution and a group norm.  `[N,I,H,W]` -> `[N,C,H,W]` */
export function convGroupNorm(
  scope: Scope,
  sizes: {
    readonly inputs: number;
    readonly outputs: number;
    readonly kernel: number;
    readonly groups: number;
  },
): (x: Value) => Value {
  const project = conv(scope.at(0), sizes);
  const norm = groupNorm(scope.at(1), sizes.outputs, sizes.groups);
  return (x) => norm(project(x));
}

/** The finest level and, enlarged to it, the finest encoded level -> `[N,C,H,W]`. */
export function maskFeature(
  scope: Scope,
  width: number,
  groups: number,
): (fine: Value, coarse: Value) => Value {
  const sizes = { inputs: width, outputs: width, groups };
  const lateral = convGroupNorm(scope.at("lateral_conv"), { ...sizes, kernel: 1 });
  const out = convGroupNorm(scope.at("out_conv"), { ...sizes, kernel: 3 });
  return (fine, coarse) => {
    const [height, width] = [dim(fine, 2), dim(fine, 3)];
    return relu(out(add(lateral(fine), resize(coarse, { mode: "bilinear", height, width }))));
  };
}

/**
 * The mixer: the audio attends to all positions of a map; a sigmoid of what it finds multiplies the map's channels.
 * map `[N,C,H,W]`, audio `[N,1,C]` -> `[N,C,H,W]`
 */
export function mixer(scope: Scope, width: number, heads: number) {
  const init = (outputs: number) => ({ weightInit: xavierUniform(width, outputs) });
  const query = projection(scope.at("q_proj"), width, width, init(width));
  const keyValue = projection(scope.at("kv_proj"), width, 2 * width, init(2 * width));
  const out = dense(scope.at("proj"), width, width);

  const attended = (map: Value, audio: Value, pass: Pass): Value => {
    if (!pass.fused) {
      const [k, v] = split(keyValue(toTokens(map).tokens), 2, [width, width]);
      return attend({ q: query(audio), k, v, heads, pass });
    }
    // The projections of all positions move to the one query: q (Wk x) = (q Wk) x, and sum w (Wv x) = Wv (sum w x).
    const [forKeys, forValues] = split(keyValue.weight, 0, [width, width]);
    const [batch, , height, columns] = shape4(map, "mixer");
    const pixels = reshape(map, [batch, width, height * columns]);
    const asked = matmul(headBlocks(query(audio), heads), forKeys, { alpha: 1 / Math.sqrt(width / heads) }); // [N,h,C]
    const weights = softmax(matmul(asked, pixels), -1); // [N,h,H*W]
    const pooled = matmul(weights, pixels, { transB: true }); // [N,h,C]
    return fromHeadBlocks(affine(pooled, forValues), heads); // [N,1,C]
  };
  return (map: Value, audio: Value, pass: Pass): Value => {
    const gate = sigmoid(out(attended(map, audio, pass))); // [N,1,C]
    return mul(map, reshape(gate, [dim(map, 0), width, 1, 1]));
  };
}

/** Sizes of the head. */
export interface MaskHeadOptions {
  readonly width: number;
  readonly queries: number;
  readonly hidden: number;
  readonly classes: number;
}

/** Channels of the last convolutions. */
const lastChannels = [128, 32] as const;
/** Enlargement of the finest level to the frames. */
const enlargement = 4;

/** Queries `[N,Q,C]` and a mask feature `[N,C,H,W]` -> logits `[N,K,4H,4W]`. Queries are only channels: no matching. */
export function maskHead(scope: Scope, { width, queries, hidden, classes }: MaskHeadOptions) {
  const layers = scope.at("mlp").at("layers");
  const first = conv(layers.at(0), { inputs: queries, outputs: hidden, kernel: 1 });
  const second = conv(layers.at(1), { inputs: hidden, outputs: hidden, kernel: 1 });
  const third = conv(layers.at(2), { inputs: hidden, outputs: width, kernel: 1 });
  const classify = classifier(scope.at("fc"), width, classes);
  for (const i of [1, 2, 3])
    conv(scope.at("fpn").unused().at(`up${i}`).at(1), { inputs: width, outputs: width, kernel: 3 });
  classifier(scope.at("attn_fc").unused(), width, classes);

  /** The first layer over queries times feature, which are linear both: `[N,hidden,H,W]`. */
  const firstLayer = (query: Value, feature: Value, pass: Pass): Value => {
    const [batch, , height, columns] = shape4(feature, "mask head");
    const pixels = reshape(feature, [batch, width, height * columns]);
    if (!pass.fused) return first(reshape(matmul(query, pixels), [batch, queries, height, columns]));
    const merged = matmul(reshape(first.weight, [hidden, queries]), query); // [N,hidden,C]
    const y = add(matmul(merged, pixels), reshape(first.bias, [hidden, 1]));
    return reshape(y, [batch, hidden, height, columns]);
  };
  return (query: Value, feature: Value, pass: Pass): Value => {
    const refined = third(relu(second(relu(firstLayer(query, feature, pass)))));
    return classify(add(feature, refined), pass);
  };
}

/** Convolution, enlargement, convolution, ReLU and a 1x1 convolution without bias.  `[N,C,H,W]` -> `[N,K,4H,4W]` */
function classifier(scope: Scope, width: number, classes: number) {
  const [wide, narrow] = lastChannels;
  const first = conv(scope.at(0), { inputs: width, outputs: wide, kernel: 3 });
  const second = conv(scope.at(2), { inputs: wide, outputs: narrow, kernel: 3 });
  const weight = scope.at(4).param("weight", [classes, narrow, 1, 1], xavierUniform(narrow, classes));
  return (x: Value, pass: Pass): Value => {
    const enlarged = upsampledConv(first(x), { ...second, factor: enlargement }, pass);
    return conv2d(relu(enlarged), weight, undefined);
  };
}
