/** SelM's fusion block: after a visual stage, the audio gathers from the map and the map gets a learned shift. */
import {
  add,
  dim,
  div,
  gelu,
  matmul,
  mean,
  mul,
  relu,
  reshape,
  softmax,
  sqrt,
  sub,
  tanh,
  type Value,
} from "../../graph/index.js";
import {
  type AffineMap,
  ones,
  type Pass,
  pointwise,
  projection,
  type Scope,
  torchDefault,
} from "../../nn/index.js";

/** The two streams of a stage: audio `[N,1,D]`, visual tokens `[N,L,C]`. */
export interface FusedStreams {
  readonly audio: Value;
  readonly tokens: Value;
}

/** Sizes of a fusion block. */
export interface FusionSizes {
  /** C: channels of the stage. */
  readonly channels: number;
  /** D: width of the audio. */
  readonly width: number;
}

/** What a block takes. */
export interface FusionInputs extends FusedStreams {
  /** `[N,1,1]`, 0 for padded frames. */
  readonly frameMask?: Value | undefined;
}

/** Builds the block's parameters under `scope`. */
export function fusionBlock(
  scope: Scope,
  { channels, width }: FusionSizes,
): (inputs: FusionInputs, pass: Pass) => FusedStreams {
  const fusion = scope.at("fusion");
  const attention = fusion.at("audio_visual_att");
  const layer = (at: Scope, inputs: number, outputs: number) => pointwise(at.at(0), inputs, outputs, 1);
  const align = attention.at("align_audio");
  const widen = layer(align.at("f_query"), width, channels);
  const narrow = layer(align.at("f_query2"), channels, width);
  const keys = layer(align.at("f_key"), channels, width);
  const values = layer(attention.at("vis_value_conv"), channels, width);
  const gathered = layer(attention.at("audio_out"), width, width);
  const audioOut = layer(scope.at("audio_out_conv"), width, width);
  const squeeze = projection(scope.at("gate").at(0), channels, channels);
  const excite = projection(scope.at("gate").at(2), channels, channels);
  const shift = unusedBranch(fusion, { channels, width });

  /** What the block adds at every position, `[C]`: a function of the weights alone. */
  const added = (): Value => {
    const g = gelu(reshape(shift, [1, channels]));
    return reshape(mul(tanh(excite(relu(squeeze(g)))), g), [channels]);
  };

  return ({ audio, tokens, frameMask }, pass) => {
    const projected = narrow(widen(audio)); // [N,1,D]
    const query = frameMask === undefined ? projected : mul(projected, frameMask);
    const alpha = 1 / Math.sqrt(channels);
    const key = centered(keys, tokens, pass);
    const value = centered(values, tokens, pass);
    const scores = matmul(div(query, key.deviation), key.rows, { alpha }); // [N,1,L]
    const seen = div(matmul(softmax(scores, -1), value.rows, { transB: true }), value.deviation); // [N,1,D]
    return {
      audio: add(audio, gelu(audioOut(gathered(seen)))),
      tokens: add(tokens, added()),
    };
  };
}

/**
 * The branch that would bring the audio to the map. The audio is one token, so the map's attention over it is the same at
 * every position, and the published instance norm of that constant is zero. What leads up to it is in checkpoints and has
 * neither an effect nor a gradient; what remains is a bias `[C]`.
 */
function unusedBranch(fusion: Scope, { channels, width }: FusionSizes): Value {
  const unused = fusion.unused();
  const attention = unused.at("audio_visual_att");
  for (const name of ["vis_weight", "audio_weight"]) attention.param(name, [1], ones);
  for (const [at, inputs] of [
    [unused.at("vis_project"), channels],
    [attention.at("audio_value_conv"), width],
    [attention.at("vis_out"), channels],
    [attention.at("align_vis").at("key_conv"), width],
    [attention.at("align_vis").at("query_conv"), channels],
    [attention.at("align_vis").at("query_conv2"), channels],
  ] as const) {
    pointwise(at.at(0), inputs, channels, 1);
  }
  const init = torchDefault(channels);
  unused.at("out_conv").at(0).param("weight", [channels, channels, 1], init);
  return fusion.at("out_conv").at(0).param("bias", [channels], init);
}

/**
 * Tokens `[N,L,C]` through a linear map to D channels, as rows `[N,D,L]` with mean 0 over the positions and their deviation
 * `[N,1,D]`: instance normalization without parameters is their quotient, to which the map's bias is nothing.
 */
function centered(
  { weight, bias }: AffineMap,
  tokens: Value,
  pass: Pass,
): { readonly rows: Value; readonly deviation: Value } {
  const product = matmul(weight, tokens, { transB: true });
  const biased = pass.fused ? product : add(product, reshape(bias, [-1, 1]));
  const rows = sub(biased, meanOfPositions(biased));
  const variance = meanOfPositions(mul(rows, rows));
  return { rows, deviation: reshape(sqrt(add(variance, 1e-5)), [dim(rows, 0), 1, dim(rows, 1)]) };
}

/**
 * The mean over L, of groups first and then of their means. WebAssembly adds values one by one, which costs a digit with
 * thousands of positions, and the decoder magnifies that error.  `[N,D,L]` -> `[N,D,1]`
 */
function meanOfPositions(rows: Value): Value {
  const [count, channels, positions] = [dim(rows, 0), dim(rows, 1), dim(rows, 2)];
  let groups = Math.floor(Math.sqrt(positions));
  while (positions % groups !== 0) groups--;
  const means = mean(reshape(rows, [count, channels, groups, -1]), { axes: [3] });
  return mean(means, { axes: [2], keepDims: true });
}
