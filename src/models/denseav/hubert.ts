/**
 * HuBERT-large (Hsu et al., "HuBERT: self-supervised speech representation learning by masked prediction of hidden units",
 * 2021; `facebook/hubert-large-ls960-ft`, Apache-2.0), with the keys of Hugging Face's code, as DenseAV uses it: layer norms
 * with epsilon 1e-4, except those between convolutions.
 *
 * B sounds of S samples at 16 kHz, T steps of 20 ms, C channels.
 */
import { add, conv1d, div, gelu, mul, reshape, sqrt, sum, transpose, type Value } from "../../graph/index.js";
import {
  attend,
  kaimingUniform,
  layerNorm,
  linear,
  normalInit,
  ones,
  type Pass,
  type Scope,
  torchDefault,
} from "../../nn/index.js";
import { adaptedLinear, epsilon } from "./block.js";

/** Kernel and stride of the convolutions. */
const convolutions = [
  { kernel: 10, stride: 5 },
  { kernel: 3, stride: 2 },
  { kernel: 3, stride: 2 },
  { kernel: 3, stride: 2 },
  { kernel: 3, stride: 2 },
  { kernel: 2, stride: 2 },
  { kernel: 2, stride: 2 },
] as const;

/** Steps that the convolutions make of `samples`. */
export function stepsOf(samples: number): number {
  return convolutions.reduce((size, { kernel, stride }) => Math.floor((size - kernel) / stride) + 1, samples);
}

/** Sizes of a HuBERT. */
export interface HubertSizes {
  /** Channels of the convolutions. */
  readonly convWidth: number;
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Width of the hidden layer of the feed-forward blocks. */
  readonly hidden: number;
  /** Kernel of the convolution that stands for positions, an even number. */
  readonly positionKernel: number;
  readonly positionGroups: number;
  /** Rank of the low-rank adapters of queries, keys and values; 0 builds none. */
  readonly loraRank: number;
}

/** The encoder, and its parts in their order. */
export interface Hubert {
  /** Maps `[B,.,.]` to `[B,F,.]`; the first takes the wave `[B,1,S]`. */
  readonly convolutions: readonly ((x: Value) => Value)[];
  /** `[B,F,T]` -> `[B,T,C]` */
  project(x: Value): Value;
  /** What is added to `[B,T,C]` for its positions. */
  positions(x: Value): Value;
  readonly layers: readonly ((x: Value, pass: Pass) => Value)[];
  norm(x: Value): Value;
  /** All of them: wave `[B,S]` -> `[B,T,C]`. */
  encode(wave: Value, pass: Pass): Value;
}

/** Builds the encoder's parameters under `scope`. */
export function hubert(scope: Scope, sizes: HubertSizes): Hubert {
  const { convWidth, width, depth } = sizes;
  scope.unused().param("masked_spec_embed", [width], normalInit(1)); // masks steps in training
  const extractor = scope.at("feature_extractor").at("conv_layers");
  const layers = convolutions.map((size, i) =>
    convolution(extractor.at(i), { ...size, inputs: i === 0 ? 1 : convWidth, outputs: convWidth }),
  );
  const projection = scope.at("feature_projection");
  const projectionNorm = layerNorm(projection.at("layer_norm"), convWidth, epsilon);
  const widen = linear(projection.at("projection"), convWidth, width);
  const encoder = scope.at("encoder");
  const positions = positionConvolution(encoder.at("pos_conv_embed").at("conv"), sizes);
  const transformer = Array.from({ length: depth }, (_, i) => layer(encoder.at("layers").at(i), sizes));
  const norm = layerNorm(encoder.at("layer_norm"), width, epsilon);

  const project = (x: Value): Value => widen(projectionNorm(transpose(x, [0, 2, 1])));
  return {
    convolutions: layers,
    project,
    positions,
    layers: transformer,
    norm,
    encode(wave, pass) {
      const [batch = 1, samples = 0] = wave.shape;
      const features = layers.reduce((x, apply) => apply(x), reshape(wave, [batch, 1, samples]));
      const projected = project(features);
      const placed = add(projected, positions(projected));
      return norm(transformer.reduce((x, apply) => apply(x, pass), placed));
    },
  };
}

interface ConvolutionSizes {
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
}

/** A convolution without padding, layer norm over the channels of each step, GELU.  `[B,I,.]` -> `[B,O,.]` */
function convolution(
  scope: Scope,
  { inputs, outputs, kernel, stride }: ConvolutionSizes,
): (x: Value) => Value {
  const init = torchDefault(inputs * kernel);
  const weight = scope
    .at("conv")
    .param("weight", [outputs, inputs, kernel], kaimingUniform(inputs * kernel, 0));
  const bias = scope.at("conv").param("bias", [outputs], init);
  const norm = layerNorm(scope.at("layer_norm"), outputs, 1e-5);
  return (x) => {
    const steps = transpose(conv1d(x, weight, bias, { stride }), [0, 2, 1]);
    return transpose(gelu(norm(steps)), [0, 2, 1]);
  };
}

/**
 * A grouped convolution over time whose kernel positions have weights of their own length (Salimans and Kingma 2016):
 * w[:,:,k] = gain[k] v[:,:,k] / |v[:,:,k]|; then GELU.  `[B,T,C]` -> `[B,T,C]`
 */
function positionConvolution(
  scope: Scope,
  { width, positionKernel: kernel, positionGroups: groups }: HubertSizes,
): (x: Value) => Value {
  const perGroup = width / groups;
  const init = normalInit(2 / Math.sqrt(kernel * width));
  const bias = scope.param("bias", [width], torchDefault(perGroup * kernel));
  const at = scope.at("parametrizations").at("weight");
  const gain = at.param("original0", [1, 1, kernel], ones);
  const direction = at.param("original1", [width, perGroup, kernel], init);
  return (x) => {
    const length = sqrt(sum(mul(direction, direction), { axes: [0, 1], keepDims: true })); // [1,1,K]
    const weight = mul(direction, div(gain, length));
    // An even kernel with the same padding on both sides gives one step more, which is dropped.
    const padding = { before: kernel / 2, after: kernel / 2 - 1 };
    const y = conv1d(transpose(x, [0, 2, 1]), weight, bias, { ...padding, groups });
    return transpose(gelu(y), [0, 2, 1]);
  };
}

/** x += attention(norm(x)); x += mlp(norm(x)).  `[B,T,C]` -> `[B,T,C]` */
function layer(
  scope: Scope,
  { width, heads, hidden, loraRank: rank }: HubertSizes,
): (x: Value, pass: Pass) => Value {
  const attention = scope.at("attention");
  const mapped = (name: string) => adaptedLinear(attention.at(name), { inputs: width, outputs: width, rank });
  const [q, k, v] = [mapped("q_proj"), mapped("k_proj"), mapped("v_proj")];
  const out = linear(attention.at("out_proj"), width, width);
  const norm = layerNorm(scope.at("layer_norm"), width, epsilon);
  const widen = linear(scope.at("feed_forward").at("intermediate_dense"), width, hidden);
  const narrow = linear(scope.at("feed_forward").at("output_dense"), hidden, width);
  const finalNorm = layerNorm(scope.at("final_layer_norm"), width, epsilon);
  return (x, pass) => {
    const source = norm(x);
    const attended = attend({ q: q(source, pass), k: k(source, pass), v: v(source, pass), heads, pass });
    const y = add(x, out(attended));
    return add(y, narrow(gelu(widen(finalNorm(y)))));
  };
}
