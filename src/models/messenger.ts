/**
 * The Messenger Block of "A Simple Baseline for Parameter Efficient Audio-Visual Segmentation": a few learned queries
 * carry messages between audio and visual tokens. Its three steps have the paper's names: Message Deliver, Audio-Visual
 * Temporal Fusion, Message Receive. State-dict keys as published (`bridger.Fusers.<stage>.`).
 *
 * Shapes: N = B*T frames, Q queries, L visual tokens of C channels, D the width of the queries.
 */
import type * as z from "zod";
import { count, flag, fraction, section } from "../fields.js";
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
  /**
   * Whether the next stage of the encoder takes what a block changed, as published. If not, blocks change what the decoder
   * sees only: frozen stages compute what they were trained for, and no gradient passes through them.
   */
  between: flag.default(true),
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
  const initQueries = xavierUniform(queries, width);
  const embedding = scope.param("intermediate_queries.weight", [queries, width], initQueries); // [Q,D]
  const queryProj = linear(scope.at("intermediate_query_proj"), width, 2 * width);
  const audioFeatProj = linear(scope.at("audio_feat_proj"), audioWidth, 2 * width);
  const visFeatProj = linear(scope.at("vis_feat_proj"), channels, 2 * width);
  const audioQueryProj = linear(scope.at("audio_query_proj"), width, 2 * width);
  const visQueryProj = linear(scope.at("vis_query_proj"), width, 2 * width);
  const audioQProj = linear(scope.at("audio_q_proj"), audioWidth, width);
  const visualQProj = linear(scope.at("visual_q_proj"), channels, width);
  const selfAttention = multiHeadAttention(scope.at("self_attn"), { width, heads, dropout: rate });
  const visNorm = layerNorm(scope.at("vis_norm"), 2 * width);
  const audioNorm = layerNorm(scope.at("audio_norm"), 2 * width);
  const visOut = linear(scope.at("vis_out"), width, channels);
  const audioOut = linear(scope.at("audio_out"), width, channels);
  const visDrop = dropout(scope.at("vis_drop"), rate);
  const audioDrop = dropout(scope.at("audio_drop"), rate);
  /** Separates two vectors that lie side by side: `[...,2D]` -> two of `[...,D]`. */
  const halves = (x: Value) => split(x, x.shape.length - 1, [width, width]);

  /** Message Deliver, of the visual tokens: softmax(q k^T / sqrt(D/heads)) u per head, `[N,L,C]` -> `[N,Q,D]`. */
  function deliverVisual(visualQueries: Value, visual: Value, pass: Pass): Value {
    const features = visNorm(visFeatProj(visual)); // [N,L,2D]: k and u side by side
    if (!pass.fused) {
      const [k, v] = halves(features);
      const q = concat(
        Array.from({ length: dim(features, 0) }, () => visualQueries),
        0,
      );
      return attend({ q, k, v, heads, pass });
    }
    // The few queries are widened with zeros and the result is cut, so that k and u need not be.
    const blocks = headBlocks(visualQueries, heads); // [1,heads*Q,D]
    const widened = pad(blocks, [{ axis: 2, before: 0, after: width }]);
    const scores = matmul(widened, features, { transB: true, alpha: 1 / Math.sqrt(width / heads) });
    const mixed = matmul(softmax(scores, -1), features); // [N,heads*Q,2D]
    return fromHeadBlocks(slice(mixed, [{ axis: 2, start: width, end: 2 * width }]), heads);
  }

  /** Message Deliver, of the audio token. Over one key the softmax is 1: `[N,1,128]` -> `[N,1,D]`. */
  function deliverAudio(audio: Value): Value {
    const [, value] = halves(audioNorm(audioFeatProj(audio)));
    return value;
  }

  /** Audio-Visual Temporal Fusion: all messages of T frames are one sequence.  `[N,2Q,D]` -> `[N,2Q,D]` */
  function fuse(messages: Value, pass: Pass): Value {
    const batch = dim(messages, 0);
    const sequence = reshape(messages, [batch / frames, frames * 2 * queries, width]);
    return reshape(selfAttention({ query: sequence, source: sequence, pass }), [batch, 2 * queries, width]);
  }

  /** Message Receive, by the audio token: attention over the visual messages.  -> `[N,1,D]` */
  function receiveAudio(audio: Value, visualMessages: Value, pass: Pass): Value {
    const [k, v] = halves(visQueryProj(visualMessages));
    return attend({ q: audioQProj(audio), k: pass.fused ? centered(k) : k, v, heads, pass });
  }

  /** Message Receive, by the visual tokens: vis_out(attention over the audio messages).  -> `[N,L,C]` */
  function receiveVisual(visual: Value, audioMessages: Value, pass: Pass): Value {
    const [k, v] = halves(audioQueryProj(audioMessages));
    if (!pass.fused) return visOut(attend({ q: visualQProj(visual), k, v, heads, pass }));
    // Both projections of the many tokens move to the few queries: (x Wq + b) k = x (Wq k) + b k.
    const blocks = headBlocks(centered(k), heads); // [N,heads*Q,D]
    const alpha = 1 / Math.sqrt(width / heads);
    const projectedKeys = matmul(blocks, visualQProj.weight, { alpha }); // [N,heads*Q,C]
    const scores = matmul(visual, projectedKeys, { transB: true }); // [N,L,heads*Q]
    const offset = matmul(reshape(visualQProj.bias, [1, 1, width]), blocks, { transB: true, alpha }); // [N,1,heads*Q]
    const perHead = reshape(add(scores, offset), [dim(visual, 0), dim(visual, 1), heads, queries]);
    const weights = reshape(softmax(perHead, -1), scores.shape);
    const projectedValues = matmul(headBlocks(v, heads), visOut.weight, { transB: true }); // [N,heads*Q,C]
    return add(matmul(weights, projectedValues), visOut.bias);
  }

  return ({ audio, visual }, pass) => {
    const batch = dim(visual, 0);
    if (batch % frames !== 0) {
      throw new RangeError(`messenger: ${batch} frames are not a multiple of ${frames} (${scope.path})`);
    }
    const [audioQueries, visualQueries] = halves(reshape(queryProj(embedding), [1, queries, 2 * width]));
    const audioMessages = add(deliverAudio(audio), audioQueries); // [N,Q,D]
    const visualMessages = add(deliverVisual(visualQueries, visual, pass), visualQueries); // [N,Q,D]

    const fused = fuse(concat([audioMessages, visualMessages], 1), pass);
    const [fusedAudio, fusedVisual] = split(fused, 1, [queries, queries]);

    const audioUpdate = receiveAudio(audio, fusedVisual, pass);
    const visualUpdate = receiveVisual(visual, fusedAudio, pass);
    return {
      audio: audioDrop(audioOut(add(audioUpdate, audio)), pass), // [N,1,C]
      visual: visDrop(add(visualUpdate, visual), pass), // [N,L,C]
    };
  };
}

/** Keys `[N,Q,D]` minus their mean: softmax is invariant to it, and gradients keep the digits that keys share. */
function centered(keys: Value): Value {
  return sub(keys, mean(keys, { axes: [1], keepDims: true }));
}
