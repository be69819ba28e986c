/** The transformer of AVSegFormer: an encoder with deformable attention, and a decoder of its queries. */
import { add, type Value } from "../../graph/index.js";
import {
  dropout,
  layerNorm,
  multiHeadAttention,
  type Pass,
  type Scope,
  xavierUniform,
} from "../../nn/index.js";
import { deformableAttention, type LevelSize } from "./deformable-attention.js";
import { feedForward } from "./layers.js";

/** Sizes of encoder and decoder layers. */
export interface TransformerOptions {
  readonly width: number;
  readonly heads: number;
  readonly levels: number;
  readonly points: number;
  readonly hidden: number;
  readonly encoderLayers: number;
  readonly decoderLayers: number;
  readonly dropout: number;
}

/** What goes in: queries `[N,Q,C]`, tokens of all levels `[N,S,C]` and their positions `[1,S,C]`. */
export interface TransformerInputs {
  readonly queries: Value;
  readonly tokens: Value;
  readonly positions: Value;
  readonly levels: readonly LevelSize[];
}

/** -> encoded tokens `[N,S,C]` and decoded queries `[N,Q,C]` */
export type Transformer = (inputs: TransformerInputs, pass: Pass) => { memory: Value; queries: Value };

/** Builds the parameters under `scope`. Every norm follows its residual sum. */
export function transformer(scope: Scope, options: TransformerOptions): Transformer {
  const layersOf = <L>(
    name: string,
    count: number,
    make: (scope: Scope, options: TransformerOptions) => L,
  ): L[] => Array.from({ length: count }, (_, i) => make(scope.at(name).at("layers").at(i), options));
  const encoder = layersOf("encoder", options.encoderLayers, encoderLayer);
  const decoder = layersOf("decoder", options.decoderLayers, decoderLayer);
  return ({ queries, tokens, positions, levels }, pass) => {
    const memory = encoder.reduce((x, apply) => apply(x, positions, levels, pass), tokens);
    return { memory, queries: decoder.reduce((query, apply) => apply(query, memory, pass), queries) };
  };
}

/** x = norm1(x + attention(x + positions)); x = norm2(x + feedForward(x)) */
function encoderLayer(scope: Scope, options: TransformerOptions) {
  const { width, hidden, dropout: rate } = options;
  const attention = deformableAttention(scope.at("self_attn"), options);
  const drop1 = dropout(scope.at("dropout1"), rate);
  const norm1 = layerNorm(scope.at("norm1"), width);
  const names = ["linear1", "dropout2", "linear2"] as const;
  const forward = feedForward(scope, { width, hidden, dropout: rate, names });
  const drop3 = dropout(scope.at("dropout3"), rate);
  const norm2 = layerNorm(scope.at("norm2"), width);
  return (x: Value, positions: Value, levels: readonly LevelSize[], pass: Pass): Value => {
    const read = norm1(add(x, drop1(attention(add(x, positions), x, levels), pass)));
    return norm2(add(read, drop3(forward(read, pass), pass)));
  };
}

/** Self-attention of the queries, attention to the encoded tokens, feed-forward. */
function decoderLayer(scope: Scope, options: TransformerOptions) {
  const { width, heads, hidden, dropout: rate } = options;
  const attention = { width, heads, dropout: rate, outputInit: xavierUniform(width, width) };
  const toQueries = multiHeadAttention(scope.at("self_attn"), attention);
  const drop1 = dropout(scope.at("dropout1"), rate);
  const norm1 = layerNorm(scope.at("norm1"), width);
  const toTokens = multiHeadAttention(scope.at("cross_attn"), attention);
  const drop2 = dropout(scope.at("dropout2"), rate);
  const norm2 = layerNorm(scope.at("norm2"), width);
  const names = ["linear1", "dropout3", "linear2"] as const;
  const forward = feedForward(scope, { width, hidden, dropout: rate, names });
  const drop4 = dropout(scope.at("dropout4"), rate);
  const norm3 = layerNorm(scope.at("norm3"), width);
  return (query: Value, memory: Value, pass: Pass): Value => {
    const shared = norm1(add(query, drop1(toQueries({ query, source: query, pass }), pass)));
    const seen = norm2(add(shared, drop2(toTokens({ query: shared, source: memory, pass }), pass)));
    return norm3(add(seen, drop4(forward(seen, pass), pass)));
  };
}
