/**
 * SelM's decoder: the audio enters the second of two tokens; from coarse to fine, every position of the map chooses one
 * of the two tokens and joins it; the second token becomes the weights of the masks.
 *
 * N frames, each on its own; D the width, L the positions of a level.
 */
import {
  add,
  cast,
  concat,
  conv2d,
  dim,
  div,
  expand,
  gelu,
  greater,
  matmul,
  mul,
  relu,
  reshape,
  resize,
  shape4,
  slice,
  split,
  sqrt,
  sub,
  sum,
  type Value,
} from "../../graph/index.js";
import {
  constantInit,
  convolution,
  groupNorm,
  layerNorm,
  linear,
  normalInit,
  type Pass,
  pointwise,
  projection,
  type Scope,
  torchDefault,
  toTokens,
  zeros,
} from "../../nn/index.js";

/** Sizes of the decoder. */
export interface DecoderSizes {
  readonly width: number;
  /** Groups of the group norms. */
  readonly groups: number;
  /** Side of the coarsest of the levels that tokens are chosen on, in positions; the next have twice the side. */
  readonly side: number;
  /** How often the finest map is enlarged by two before the masks. */
  readonly enlargements: number;
  /** Logits per position; 1 has a bias. */
  readonly classes: number;
  readonly maskSize: number;
}

/** What the decoder works with. */
export interface DecoderInputs {
  /** Gated maps, fine to coarse, `[N,D,H,W]`. */
  readonly maps: readonly Value[];
  /** `[N,D]` */
  readonly audio: Value;
  /** `[N,1,1]`, 0 for padded frames. */
  readonly frameMask?: Value | undefined;
}

/** What one level gives. */
export interface DecodedLevel {
  /** `[N,D,H,W]` */
  readonly map: Value;
  /** `[N,2,D]` */
  readonly tokens: Value;
  /** 1 where a position chose the second token, `[N,1,L]`. */
  readonly second: Value;
}

/** What the decoder gives: logits `[N,K,S,S]`, and its levels, coarse to fine. */
export interface Decoded {
  readonly logits: Value;
  readonly levels: readonly DecodedLevel[];
}

/** Builds the decoder's parameters under `scope`. */
export function decoder(scope: Scope, sizes: DecoderSizes): (inputs: DecoderInputs, pass: Pass) => Decoded {
  const { width, groups, side } = sizes;
  const start = scope.at("tokens").param("weight", [2, width], normalInit(1));
  const parts = [0, 1, 2].map((i) => ({
    join: fuse(scope.at("fuses").at(i).at("fusion"), width, groups),
    load: tokenLoader(scope.at("layers").at(i), width),
    choose: tokenChoice(scope.at(`cgattention${i + 1}`), width),
    positions: scope
      .at("layers")
      .at(i)
      .param("positional_embedding", [(side * 2 ** i) ** 2, width], zeros),
  }));
  const predict = maskHead(scope.at("proj"), sizes);

  return ({ maps, audio, frameMask }, pass) => {
    const [finer, coarsest] = [maps.slice(0, -1).reverse(), maps.at(-1)];
    if (coarsest === undefined || finer.length !== parts.length) {
      throw new RangeError(`selm: ${maps.length} maps, expected ${parts.length + 1}`);
    }
    let map = coarsest;
    let tokens = reshape(start, [1, 2, width]);
    const levels = parts.map(({ join, load, choose, positions }, i): DecodedLevel => {
      map = join(map, finer[i] ?? map);
      const chosen = choose({ tokens: load(tokens, audio, frameMask), map, positions }, pass);
      tokens = chosen.tokens;
      return { map, ...chosen };
    });
    return { logits: predict(map, slice(tokens, [{ axis: 1, start: 1, end: 2 }]), pass), levels };
  };
}

/** Joins a coarse and the next finer map at the finer's size.  `[N,D,h,w]`, `[N,D,H,W]` -> `[N,D,H,W]` */
function fuse(scope: Scope, width: number, groups: number): (coarse: Value, fine: Value) => Value {
  const layers = [0, 3].map((index) => {
    const conv = convolution(scope.at(index), { inputs: index === 0 ? 2 * width : width, outputs: width });
    const norm = groupNorm(scope.at(index + 1), width, groups);
    return (x: Value): Value => relu(norm(conv(x)));
  });
  return (coarse, fine) => {
    const size = { height: dim(fine, 2), width: dim(fine, 3) };
    const enlarged = resize(coarse, { mode: "bilinear-corners", ...size });
    return layers.reduce((x, layer) => layer(x), concat([enlarged, fine], 1));
  };
}

/** Linear, GELU, linear, with twice the width in between. */
function mlp(scope: Scope, width: number): (x: Value) => Value {
  const widen = linear(scope.at("fc1"), width, 2 * width);
  const narrow = linear(scope.at("fc2"), 2 * width, width);
  return (x) => narrow(gelu(widen(x)));
}

/** The audio enters the second token; then both pass an MLP.  tokens `[.,2,D]`, audio `[N,D]` -> `[N,2,D]` */
function tokenLoader(scope: Scope, width: number) {
  const loader = scope.at("loadtoken");
  const attention = loader.at("cross_attn");
  const value = projection(attention.at("v_proj"), width, width);
  const out = linear(attention.at("proj"), width, width);
  const normAudio = layerNorm(loader.at("normk"), width);
  const norm = layerNorm(scope.at("norm"), width);
  const transform = mlp(scope.at("mlp"), width);
  // In checkpoints without an effect: attention over one token is 1, and only the second token's sum is used.
  const unused = loader.unused();
  projection(unused.at("cross_attn").at("q_proj"), width, width);
  projection(unused.at("cross_attn").at("k_proj"), width, width);
  layerNorm(unused.at("normq"), width);
  layerNorm(unused.at("norm"), width);
  mlp(unused.at("mlp"), width);

  return (tokens: Value, audio: Value, frameMask: Value | undefined): Value => {
    const frames = dim(audio, 0);
    const attended = value(normAudio(reshape(audio, [frames, 1, width]))); // [N,1,D]
    const entering = out(frameMask === undefined ? attended : mul(attended, frameMask));
    const [first, second] = split(tokens, 1, [1, 1]);
    const unchanged = expand(first, [frames, 1, width]);
    return transform(norm(concat([unchanged, add(second, entering)], 1)));
  };
}

/**
 * Every position goes to the one token whose query is more similar to its key; a token becomes the mean of its positions'
 * values, with one added to their number. Published code adds noise to the similarities; this code adds none.
 */
function tokenChoice(scope: Scope, width: number) {
  const normMap = layerNorm(scope.at("norm_v"), width);
  const normTokens = layerNorm(scope.at("norm_t"), width);
  const queries = linear(scope.at("q_proj"), width, width);
  const keys = linear(scope.at("k_proj"), width, width);
  const values = linear(scope.at("v_proj"), width, width);
  const out = linear(scope.at("proj"), width, width);
  const norm = layerNorm(scope.at("norm"), width);
  const transform = mlp(scope.at("mlp"), width);
  scope.unused().param("tau", [1], constantInit(0)); // the temperature of the noise

  interface Choice {
    /** `[N,2,D]` */
    readonly tokens: Value;
    /** `[N,D,H,W]` */
    readonly map: Value;
    /** `[L,D]` */
    readonly positions: Value;
  }
  return ({ tokens, map, positions }: Choice, pass: Pass): Omit<DecodedLevel, "map"> => {
    const u = normMap(add(toTokens(map).tokens, positions)); // [N,L,D]
    const q = unit(queries(normTokens(tokens))); // [N,2,D]
    const [q1, q2] = split(q, 1, [1, 1]);
    let preference: Value; // of the second token, [N,1,L]
    if (pass.fused) {
      // The length of a key does not decide: (q2 - q1) (K u + b) = (K^T (q2 - q1)) u + (q2 - q1) b.
      const difference = sub(q2, q1);
      const direction = matmul(difference, keys.weight); // [N,1,D]
      const offset = sum(mul(difference, keys.bias), { axes: [2], keepDims: true });
      preference = add(matmul(direction, u, { transB: true }), offset);
    } else {
      const k = unit(keys(u));
      preference = sub(matmul(q2, k, { transB: true }), matmul(q1, k, { transB: true }));
    }
    const second = cast(greater(preference, 0), "f32");
    const chosen = concat([sub(1, second), second], 1); // [N,2,L]
    const number = sum(chosen, { axes: [2], keepDims: true }); // [N,2,1]
    const total = pass.fused
      ? add(matmul(matmul(chosen, u), values.weight, { transB: true }), mul(number, values.bias))
      : matmul(chosen, values(u)); // [N,2,D]
    const joined = div(total, add(number, 1));
    return { tokens: transform(norm(add(out(joined), tokens))), second };
  };
}

/** Rows of length 1. */
function unit(x: Value): Value {
  return div(x, add(sqrt(sum(mul(x, x), { axes: [-1], keepDims: true })), 1e-12));
}

/** Logits: dot products of the enlarged map with weights made of the second token.  -> `[N,K,S,S]` */
function maskHead(scope: Scope, { width, groups, enlargements, classes, maskSize }: DecoderSizes) {
  const visual = scope.at("vis");
  const steps = Array.from({ length: enlargements }, (_, i) => {
    const at = visual.at(2 * i + 1);
    const weight = at.at(0).param("weight", [width, width, 3, 3], torchDefault(9 * width));
    const norm = groupNorm(at.at(1), width, groups);
    return (x: Value): Value => {
      const size = { height: 2 * dim(x, 2), width: 2 * dim(x, 3) };
      return relu(norm(conv2d(resize(x, { mode: "bilinear", ...size }), weight, undefined, { padding: 1 })));
    };
  });
  const last = pointwise(visual.at(2 * enlargements), width, width, 2);
  const outputs = classes === 1 ? width + 1 : classes * width;
  const toWeights = linear(scope.at("audio_linear"), width, outputs);

  /** map `[N,D,H,W]`, weights `[N,K,D]` -> dot products of both `[N,K,H',W']` */
  const products = (map: Value, weights: Value, pass: Pass): Value => {
    const enlarged = steps.reduce((x, step) => step(x), map);
    const [frames, , rows, columns] = shape4(enlarged, "selm");
    const pixels = reshape(enlarged, [frames, width, rows * columns]);
    // The 1x1 convolution before the dot product moves into its weights.
    const product = pass.fused
      ? add(matmul(matmul(weights, last.weight), pixels), matmul(weights, reshape(last.bias, [width, 1])))
      : matmul(weights, add(matmul(last.weight, pixels), reshape(last.bias, [width, 1])));
    return reshape(product, [frames, classes, rows, columns]);
  };

  return (map: Value, token: Value, pass: Pass): Value => {
    const frames = dim(token, 0);
    const numbers = toWeights(token); // [N,1,D+1] or [N,1,K*D]
    const dot = slice(numbers, [{ axis: 2, start: 0, end: classes * width }]);
    const weights = reshape(dot, [frames, classes, width]);
    const frame = (x: Value, i: number): Value => slice(x, [{ axis: 0, start: i, end: i + 1 }]);
    // Frame by frame, since the enlarged map of a single one has up to 51 million values.
    const each = Array.from({ length: frames }, (_, i) => products(frame(map, i), frame(weights, i), pass));
    const joined = concat(each, 0);
    const logits =
      classes === 1
        ? add(joined, reshape(slice(numbers, [{ axis: 2, start: width, end: width + 1 }]), [frames, 1, 1, 1]))
        : joined;
    return resize(logits, { mode: "bilinear-corners", height: maskSize, width: maskSize });
  };
}
