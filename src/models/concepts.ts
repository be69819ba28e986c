/**
 * Concepts: named kinds of things that sound. One linear layer names the sound, another one names every cell of the coarsest
 * stage, and a cell agrees with the sound where both name the same. Names carry over to pictures and recordings that training
 * lacks, where an embedding's finer details do not.
 */
import * as z from "zod";
import { expecting, fraction, section } from "../fields.js";
import {
  add,
  constant,
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
import { type Classify, imageNetClasses } from "./encoder-definition.js";

/** Class numbers and ranges of them, separated by commas. */
const classNumbers = expecting("class numbers from 0 to 999 such as `151-268, 273`", (e) =>
  z
    .string(e)
    .regex(/^\d{1,3}(-\d{1,3})?(, *\d{1,3}(-\d{1,3})?)*$/, e)
    .refine((text) => rangesOf(text).every(([from, to]) => from <= to), e),
);

function rangesOf(text: string): (readonly [from: number, to: number])[] {
  return text.split(",").map((range) => {
    const [from = 0, to = from] = range.split("-").map(Number);
    return [from, to];
  });
}

/** Settings of the concepts. */
export const conceptsSchema = section({
  /** Their names, as the dataset's categories are called. Default: none, as published. */
  names: expecting("a list of at most 4096 names", (e) =>
    z.array(z.string(e), e).max(4096, e).readonly(),
  ).default([]),
  /**
   * Classes of ImageNet by name, as in `151-268, 273`. Where the visual encoder has a classifier, cells get these names from
   * it as well: it has seen more kinds of dogs than training shows. Default: none.
   */
  classes: z.record(z.string(), classNumbers, "a section of names").readonly().default({}),
  /** Of the embedding and of the coarsest stage, before they are named. */
  dropout: fraction.default(0.3),
});
/** Settings of the concepts. */
export type ConceptsConfig = Readonly<z.infer<typeof conceptsSchema>>;

/** Below this probability, cells do not differ in how little they agree. */
const least = 1e-4;
/** Makes natural logarithms of 1e-4 to 1 about as large as other features. */
const scale = 0.5;

/** Softens what the encoder's classifier says. */
const temperature = 2;
/** Probability of a name without classes. */
const unknown = 0.02;

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
  /** See `VisualEncoder`; needed for `classes`. */
  readonly classify?: Classify | undefined;
}

/** Builds the two layers under `scope`.  embedding `f32[N,D]`, tokens of the coarsest stage -> `NamedClip` */
export function concepts(
  scope: Scope,
  { names, classes, dropout: rate }: ConceptsConfig,
  { width, channels, classify }: ConceptInputs,
): (embedding: Value, coarsest: TokenGrid, pass: Pass) => NamedClip {
  const count = names.length;
  const soundNorm = layerNorm(scope.at("audio_norm"), width);
  const dropSound = dropout(scope.at("audio_dropout"), rate);
  const dropCell = dropout(scope.at("visual_dropout"), rate);
  const nameSound = linear(scope.at("audio"), width, count);
  const cellNorm = layerNorm(scope.at("visual_norm"), channels);
  // The last one is that of everything else.
  const nameCell = linear(scope.at("visual"), channels, count + 1);
  const usesClasses = Object.keys(classes).length > 0;
  const known = classify && usesClasses ? classLevels({ names, classes }, classify) : undefined;
  return (embedding, coarsest, pass) => {
    const { tokens, height, width: columns } = coarsest;
    const soundLogits = nameSound(dropSound(soundNorm(embedding), pass)); // [N,K]
    const learned = nameCell(dropCell(cellNorm(tokens), pass)); // [N,L,K+1]
    const cellLogits = known ? add(learned, known(coarsest, pass)) : learned;
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

/**
 * Logarithms of the names' probabilities by a classifier: coarsest stage -> `f32[N,L,K+1]`. Names without classes, and what has
 * no name, get the same value everywhere.
 */
function classLevels(
  { names, classes }: Pick<ConceptsConfig, "names" | "classes">,
  classify: Classify,
): Classify {
  const outputs = names.length + 1;
  const members = new Float32Array(imageNetClasses * outputs);
  const base = new Float32Array(outputs).fill(unknown);
  for (const [k, name] of names.entries()) {
    const text = classes[name];
    if (text === undefined) continue;
    base[k] = least;
    for (const [from, to] of rangesOf(text))
      for (let index = from; index <= to; index++) members[index * outputs + k] = 1;
  }
  const sum = constant({ dtype: "f32", shape: [imageNetClasses, outputs], data: members });
  const floor = constant({ dtype: "f32", shape: [outputs], data: base });
  return (coarsest, pass) => {
    const probabilities = softmax(mul(classify(coarsest, pass), 1 / temperature), -1); // [N,L,1000]
    return log(add(matmul(probabilities, sum), floor));
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
