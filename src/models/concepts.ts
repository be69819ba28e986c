/**
 * Concepts: named kinds of things that sound. One linear layer names the sound, another one names every cell of the coarsest
 * stage, and a cell agrees with the sound where both name the same. Names carry over to pictures and recordings that training
 * lacks, where an embedding's finer details do not.
 */
import * as z from "zod";
import { expecting, fraction, section } from "../fields.js";
import {
  add,
  dim,
  log,
  matmul,
  max,
  mul,
  reshape,
  resize,
  slice,
  softmax,
  sub,
  type Value,
} from "../graph/index.js";
import { dropout, layerNorm, linear, type Pass, type Scope, type TokenGrid, toMap } from "../nn/index.js";
import type { ConceptOutputs } from "./avs-model.js";

/** Settings of the concepts. */
export const conceptsSchema = section({
  /** Their names, as the dataset's categories are called. Default: none, as published. */
  names: expecting("a list of at most 4096 names", (e) =>
    z.array(z.string(e), e).max(4096, e).readonly(),
  ).default([]),
  /** Of the embedding and of the coarsest stage, before they are named. */
  dropout: fraction.default(0.3),
});
/** Settings of the concepts. */
export type ConceptsConfig = Readonly<z.infer<typeof conceptsSchema>>;

/** Below this probability, cells do not differ in how little they agree. */
const least = 1e-4;
/** Makes natural logarithms of 1e-4 to 1 about as large as other features. */
const scale = 0.5;

/** What the sound and the coarsest stage say. */
export interface NamedClip {
  readonly outputs: ConceptOutputs;
  /** Probabilities of the sound's concepts, `f32[N,K]`. */
  readonly sound: Value;
  /**
   * How far each cell agrees with the sound, `f32[N,1,h,w]`: the logarithm of the probability that both have the same name,
   * below that of the cell that agrees most. So an uncertain name still tells which of several things sounds.
   */
  readonly agreement: Value;
}

/** Sizes of the features that are named. */
export interface ConceptInputs {
  /** Width of the embedding. */
  readonly width: number;
  /** Channels of the coarsest stage. */
  readonly channels: number;
}

/** Builds the two layers under `scope`.  embedding `f32[N,D]`, tokens of the coarsest stage -> `NamedClip` */
export function concepts(
  scope: Scope,
  { names, dropout: rate }: ConceptsConfig,
  { width, channels }: ConceptInputs,
): (embedding: Value, coarsest: TokenGrid, pass: Pass) => NamedClip {
  const count = names.length;
  const soundNorm = layerNorm(scope.at("audio_norm"), width);
  const dropSound = dropout(scope.at("audio_dropout"), rate);
  const dropCell = dropout(scope.at("visual_dropout"), rate);
  const nameSound = linear(scope.at("audio"), width, count);
  const cellNorm = layerNorm(scope.at("visual_norm"), channels);
  // The last one is that of everything else.
  const nameCell = linear(scope.at("visual"), channels, count + 1);
  return (embedding, { tokens, height, width: columns }, pass) => {
    const soundLogits = nameSound(dropSound(soundNorm(embedding), pass)); // [N,K]
    const cellLogits = nameCell(dropCell(cellNorm(tokens), pass)); // [N,L,K+1]
    const sound = softmax(soundLogits, -1);
    const cells = slice(softmax(cellLogits, -1), [{ axis: 2, start: 0, end: count }]);
    const same = matmul(cells, reshape(sound, [dim(sound, 0), count, 1])); // [N,L,1]
    const level = log(add(same, least));
    const below = mul(sub(level, max(level, { axes: [1], keepDims: true })), scale);
    return {
      outputs: { sound: soundLogits, cells: toMap({ tokens: cellLogits, height, width: columns }) },
      sound,
      agreement: toMap({ tokens: below, height, width: columns }),
    };
  };
}

/** Builds, under `scope`, what adds the agreement, enlarged, to the tokens of a stage with `channels` channels. */
export function agreementInput(
  scope: Scope,
  channels: number,
): (agreement: Value, grid: TokenGrid) => TokenGrid {
  const spread = linear(scope, 1, channels);
  return (agreement, grid) => {
    const { tokens, height, width } = grid;
    const enlarged = resize(agreement, { mode: "bilinear", height, width }); // [N,1,H,W]
    return { ...grid, tokens: add(tokens, spread(reshape(enlarged, [dim(tokens, 0), height * width, 1]))) };
  };
}
