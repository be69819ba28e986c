/** SelM's fusion block: after a visual stage, the audio gathers from the map and the map gets a learned shift. */
import {
  add,
  constant,
  dim,
  gelu,
  layerNorm,
  matmul,
  mul,
  relu,
  reshape,
  softmax,
  tanh,
  type Value,
} from "../../graph/index.js";
import { ones, pointwise, projection, type Scope } from "../../nn/index.js";
import { full } from "../../tensor.js";

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

/** Builds the block's parameters under `scope`. `flag`: `[N,1,1]`, 0 for padded frames. */
export function fusionBlock(
  scope: Scope,
  { channels, width }: FusionSizes,
): (streams: FusedStreams, flag: Value | undefined) => FusedStreams {
  const fusion = scope.at("fusion");
  const attention = fusion.at("audio_visual_att");
  const layer = (at: Scope, inputs: number, outputs: number) => pointwise(at.at(0), inputs, outputs, 1);
  const {
    f_key: keys,
    f_query: widen,
    f_query2: narrow,
  } = {
    f_key: layer(attention.at("align_audio").at("f_key"), channels, width),
    f_query: layer(attention.at("align_audio").at("f_query"), width, channels),
    f_query2: layer(attention.at("align_audio").at("f_query2"), channels, width),
  };
  const values = layer(attention.at("vis_value_conv"), channels, width);
  const gathered = layer(attention.at("audio_out"), width, width);
  const audioOut = layer(scope.at("audio_out_conv"), width, width);
  const shift = layer(fusion.at("out_conv"), channels, channels);
  const squeeze = projection(scope.at("gate").at(0), channels, channels);
  const excite = projection(scope.at("gate").at(2), channels, channels);
  // The audio is one token, so the map's attention over it is the same at every position, and the published instance
  // norm of that constant is zero: what leads up to it is in checkpoints and changes nothing, nor has it a gradient.
  layer(fusion.at("vis_project"), channels, channels);
  layer(attention.at("audio_value_conv"), width, channels);
  layer(attention.at("vis_out"), channels, channels);
  layer(attention.at("align_vis").at("key_conv"), width, channels);
  layer(attention.at("align_vis").at("query_conv"), channels, channels);
  layer(attention.at("align_vis").at("query_conv2"), channels, channels);
  for (const name of ["vis_weight", "audio_weight"]) attention.param(name, [1], ones);

  /** What the block adds at every position, `[C]`: a function of the weights alone. */
  const added = (): Value => {
    const g = gelu(reshape(shift.bias, [1, channels]));
    return reshape(mul(tanh(excite(relu(squeeze(g)))), g), [channels]);
  };

  return ({ audio, tokens }, flag) => {
    const projected = narrow(widen(audio)); // [N,1,D]
    const query = flag === undefined ? projected : mul(projected, flag);
    const scores = matmul(query, standardized(keys.weight, tokens), { alpha: 1 / Math.sqrt(channels) });
    const seen = matmul(softmax(scores, -1), standardized(values.weight, tokens), { transB: true }); // [N,1,D]
    return {
      audio: add(audio, gelu(audioOut(gathered(seen)))),
      tokens: add(tokens, added()),
    };
  };
}

/**
 * Tokens `[N,L,C]` through a linear map `[D,C]`, then every channel with mean 0 and variance 1 over the positions:
 * instance normalization without parameters, to which a bias of the map would be nothing.  -> `[N,D,L]`
 */
function standardized(weight: Value, tokens: Value): Value {
  const rows = matmul(weight, tokens, { transB: true });
  const positions = [dim(tokens, 1)];
  return layerNorm(rows, constant(full(positions, 1)), constant(full(positions)), 1e-5);
}
