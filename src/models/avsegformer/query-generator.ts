/** Queries that have listened: learned ones pass through layers of attention to each other and to the audio. */
import { add, dim, expand, reshape, type Value } from "../../graph/index.js";
import { layerNorm, multiHeadAttention, type Pass, type Scope, xavierUniform } from "../../nn/index.js";
import { feedForward } from "./layers.js";

/** Sizes of the generator. */
export interface GeneratorOptions {
  readonly width: number;
  readonly heads: number;
  readonly queries: number;
  readonly layers: number;
  readonly hidden: number;
}

/** Audio `[N,1,C]` -> queries `[N,Q,C]`. */
export type QueryGenerator = (audio: Value, pass: Pass) => Value;

/** Builds the parameters under `scope`. Without layers, as in the first published version, every query is the audio. */
export function queryGenerator(scope: Scope, options: GeneratorOptions): QueryGenerator {
  const { width, queries } = options;
  if (options.layers === 0) return (audio) => expand(audio, [dim(audio, 0), queries, width]);
  const learned = scope.param("query.weight", [queries, width], xavierUniform(width, queries));
  const layers = Array.from({ length: options.layers }, (_, i) => layer(scope.at("layers").at(i), options));
  return (audio, pass) => {
    // The first self-attention is the same for all frames; the audio spreads the queries over them.
    const frames = pass.fused ? 1 : dim(audio, 0);
    const start = expand(reshape(learned, [1, queries, width]), [frames, queries, width]);
    return layers.reduce((query, apply) => apply(query, audio, pass), start);
  };
}

/** Self-attention, attention to the audio, feed-forward; each is added, then normalized. No projection has a bias. */
function layer(scope: Scope, { width, heads, hidden }: GeneratorOptions) {
  const attention = { width, heads, bias: false, outputInit: xavierUniform(width, width) };
  const toQueries = multiHeadAttention(scope.at("self_attn"), attention);
  // Over a single token every query gets the same vector: its query and key projections have no effect.
  const toAudio = multiHeadAttention(scope.at("cross_attn"), attention);
  const forward = feedForward(scope.at("ffn"), { width, hidden, dropout: 0, names: ["0", "1", "2"] });
  const norms = [1, 2, 3].map((i) => layerNorm(scope.at(`norm${i}`), width)) as [Norm, Norm, Norm];
  return (query: Value, audio: Value, pass: Pass): Value => {
    const shared = norms[0](add(query, toQueries({ query, source: query, pass })));
    const attended = norms[1](add(shared, toAudio({ query: shared, source: audio, pass })));
    return norms[2](add(attended, forward(attended, pass)));
  };
}

type Norm = (x: Value) => Value;
