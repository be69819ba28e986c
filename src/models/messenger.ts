/**
 * The Messenger Block ("A simple baseline for parameter efficient audio-visual segmentation"): audio and visual
 * tokens exchange what they hold through a few learned queries. N = B*T frames, Q queries, D its width.
 */
import type { z } from "zod";
import { count, fraction, section } from "../fields.js";
import {
  add,
  concat,
  dim,
  matmul,
  mean,
  pad,
  reshape,
  slice,
  softmax,
  split,
  sub,
  type Value,
} from "../graph/index.js";
import {
  attend,
  dropout,
  fromHeadBlocks,
  headBlocks,
  layerNorm,
  linear,
  multiHeadAttention,
  type Pass,
  type Scope,
  xavierUniform,
} from "../nn/index.js";
import { audioWidth } from "./vggish.js";

/** Settings of the Messenger Blocks, with the published values as defaults. */
export const messengerSchema = section({
  queries: count(1024).default(5),
  width: count(4096).default(128),
  heads: count(256).default(8),
  /** T: consecutive frames that one Audio-Visual Temporal Fusion joins. */
  frames: count(1024).default(5),
  dropout: fraction.default(0.1),
});
/** Settings of the Messenger Blocks. */
export type MessengerConfig = Readonly<z.infer<typeof messengerSchema>>;

/** The two streams of a stage: audio `[N,1,.]`, visual tokens `[N,L,C]`. */
export interface Streams {
  readonly audio: Value;
  readonly visual: Value;
}

/** One block: audio `[N,1,128]` and visual `[N,L,C]` -> audio `[N,1,C]` and visual `[N,L,C]`. */
export type Messenger = (streams: Streams, pass: Pass) => Streams;

/** Builds the block of a stage with `channels` channels under `scope`. */
export function messenger(scope: Scope, channels: number, config: MessengerConfig): Messenger {
  const { queries, width, heads, frames, dropout: rate } = config;
  const embedding = scope.param(
    "intermediate_queries.weight",
    [queries, width],
    xavierUniform(queries, width),
  );
  const queryProj = linear(scope.at("intermediate_query_proj"), width, 2 * width);
  const audioFeature = linear(scope.at("audio_feat_proj"), audioWidth, 2 * width);
  const visualFeature = linear(scope.at("vis_feat_proj"), channels, 2 * width);
  const audioMessage = linear(scope.at("audio_query_proj"), width, 2 * width);
  const visualMessage = linear(scope.at("vis_query_proj"), width, 2 * width);
  const audioQuery = linear(scope.at("audio_q_proj"), audioWidth, width);
  const visualQuery = linear(scope.at("visual_q_proj"), channels, width);
  const temporal = multiHeadAttention(scope.at("self_attn"), { width, heads, dropout: rate });
  const visualNorm = layerNorm(scope.at("vis_norm"), 2 * width);
  const audioNorm = layerNorm(scope.at("audio_norm"), 2 * width);
  const visualOut = linear(scope.at("vis_out"), width, channels);
  const audioOut = linear(scope.at("audio_out"), width, channels);
  const dropVisual = dropout(scope.at("vis_drop"), rate);
  const dropAudio = dropout(scope.at("audio_drop"), rate);
  const halves = (x: Value) => split(x, x.shape.length - 1, [width, width]) as [Value, Value];

  return ({ audio, visual }, pass) => {
    const batch = dim(visual, 0);
    if (batch % frames !== 0) {
      throw new RangeError(`messenger: ${batch} frames are not a multiple of ${frames} (${scope.path})`);
    }

    // Message Deliver: each modality's queries [1,Q,D] take in its features.
    const asked = reshape(queryProj(embedding), [1, queries, 2 * width]);
    const [audioAsk, visualAsk] = halves(asked);
    const [, heard] = halves(audioNorm(audioFeature(audio))); // over one key the softmax is 1
    const seen = deliver(visualAsk, visualNorm(visualFeature(visual)), heads, pass);
    const audioTold = add(heard, audioAsk); // [N,Q,D]
    const visualTold = add(seen, visualAsk);

    // Audio-Visual Temporal Fusion: all queries of T frames are one sequence.
    const sequence = reshape(concat([audioTold, visualTold], 1), [
      batch / frames,
      frames * 2 * queries,
      width,
    ]);
    const fused = reshape(temporal({ query: sequence, source: sequence, pass }), [batch, 2 * queries, width]);
    const [fromAudio, fromVisual] = split(fused, 1, [queries, queries]) as [Value, Value];

    // Message Receive: each modality reads the other's queries.
    const [visualKeys, visualValues] = halves(visualMessage(fromVisual));
    const heardBack = attend({
      q: audioQuery(audio),
      k: pass.rewrites ? centred(visualKeys) : visualKeys,
      v: visualValues,
      heads,
      pass,
    });
    const [audioKeys, audioValues] = halves(audioMessage(fromAudio));
    const seenBack = receive(visual, audioKeys, audioValues, pass);
    return {
      audio: dropAudio(audioOut(add(heardBack, audio)), pass),
      visual: dropVisual(add(seenBack, visual), pass),
    };
  };

  /** softmax(q k^T) u per head, `features` being k and u side by side: `[N,L,2D]` -> `[N,Q,D]`. */
  function deliver(ask: Value, features: Value, heads: number, pass: Pass): Value {
    if (!pass.rewrites) {
      const [k, v] = halves(features);
      const batch = dim(features, 0);
      const q = concat(
        Array.from({ length: batch }, () => ask),
        0,
      );
      return attend({ q, k, v, heads, pass });
    }
    // The few queries are widened with zeros and the result is cut, so that k and u need not be.
    const blocks = headBlocks(ask, heads); // [1,heads*Q,D]
    const widened = pad(blocks, [{ axis: 2, before: 0, after: width }]);
    const scores = matmul(widened, features, { transB: true, alpha: 1 / Math.sqrt(width / heads) });
    const mixed = matmul(softmax(scores, -1), features); // [N,heads*Q,2D]
    return fromHeadBlocks(slice(mixed, [{ axis: 2, start: width, end: 2 * width }]), heads);
  }

  /** vis_out(attention of visual_q_proj(visual)) -> `[N,L,C]`. */
  function receive(visual: Value, keys: Value, values: Value, pass: Pass): Value {
    if (!pass.rewrites) {
      return visualOut(attend({ q: visualQuery(visual), k: keys, v: values, heads, pass }));
    }
    // Both projections of the many tokens move to the few queries: (x Wq + b) k = x (Wq k) + b k.
    const blocks = headBlocks(centred(keys), heads); // [N,heads*Q,D]
    const alpha = 1 / Math.sqrt(width / heads);
    const turned = matmul(blocks, visualQuery.weight, { alpha }); // [N,heads*Q,C]
    const scores = matmul(visual, turned, { transB: true }); // [N,L,heads*Q]
    const offset = matmul(reshape(visualQuery.bias, [1, 1, width]), blocks, { transB: true, alpha }); // [N,1,heads*Q]
    const grouped = reshape(add(scores, offset), [dim(visual, 0), dim(visual, 1), heads, queries]);
    const weights = reshape(softmax(grouped, -1), scores.shape);
    const out = matmul(headBlocks(values, heads), visualOut.weight, { transB: true }); // [N,heads*Q,C]
    const received = matmul(weights, out);
    return add(received, visualOut.bias);
  }
}

/** Keys `[N,Q,D]` less their mean: softmax does not see it, and gradients keep the digits that keys have in common. */
function centred(keys: Value): Value {
  return sub(keys, mean(keys, { axes: [1], keepDims: true }));
}
