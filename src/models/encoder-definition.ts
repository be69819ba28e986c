/** What the file of a visual encoder says about itself, so that one entry in a table makes it known everywhere. */
import type * as z from "zod";
import type { Value } from "../graph/index.js";
import type { Pass, Scope, TokenGrid } from "../nn/index.js";
import type { FrameNormalization } from "./normalize-frames.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** One number for each of the four stages. */
export type PerStage = readonly [number, number, number, number];

/** A four-stage encoder. */
export interface VisualEncoder {
  /** Channels of the stages. */
  readonly dims: PerStage;
  /** What comes before the first stage: frames `f32[N,3,H,W]` -> its input. */
  stem(frames: Value, pass: Pass): Value;
  /** Stage `index` (0-3): map `[N,C,H,W]` -> tokens of the stage's grid. */
  stage(index: number, map: Value, pass: Pass): TokenGrid;
  /**
   * The encoder's own classifier on every cell of the coarsest stage: tokens `[N,L,C]` -> logits `[N,L,1000]` of ImageNet's
   * classes; absent without one.
   */
  readonly classify?: Classify | undefined;
}

/** Something about each cell of a stage: its tokens `[N,L,C]` -> `[N,L,D]`. */
export type Classify = (stage: TokenGrid, pass: Pass) => Value;

/** Classes of ImageNet-1k. */
export const imageNetClasses = 1000;

/** Settings of an encoder by name, as a configuration file gives them. */
export type EncoderSettings = Readonly<Record<string, unknown>>;

/** An encoder: its settings, its published sizes, and the functions over them. */
export interface VisualEncoderDefinition<S extends z.ZodObject> {
  /** All settings with their defaults; `kind` is a literal. */
  readonly schema: S;
  /** Settings of the published sizes, by the name that configuration files use as `kind`. */
  readonly sizes: Readonly<Record<string, EncoderSettings>>;
  /** The keys of `model.visual` in configuration files, besides those that all encoders have. */
  readonly configFields: Readonly<Record<string, z.ZodType>>;
  /** Turns those keys into settings, where they differ. */
  readonly fromConfig?: ((fields: EncoderSettings) => EncoderSettings) | undefined;
  /** How frames are normalized before the stem. */
  readonly frames: FrameNormalization;
  /** Channels of the four stages. */
  dims(config: z.infer<S>): PerStage;
  /** A rule that spans several settings: the key that would have to change, and why. */
  problem?(config: z.infer<S>): { readonly key: string; readonly message: string } | undefined;
  /** Builds the encoder's parameters under `scope`. */
  build(scope: Scope, config: z.infer<S>): VisualEncoder;
  /** Settings of the encoder whose published state dict has these tensors; `undefined` for another one. */
  infer(shapes: StateDictShapes): z.infer<S> | undefined;
}

/** Lets the functions of a definition take the settings of any encoder: they are checked against its schema first. */
export function defineVisualEncoder<S extends z.ZodObject>(definition: VisualEncoderDefinition<S>) {
  const { schema } = definition;
  return {
    ...definition,
    dims: (config: unknown) => definition.dims(schema.parse(config)),
    problem: (config: unknown) => definition.problem?.(schema.parse(config)),
    build: (scope: Scope, config: unknown) => definition.build(scope, schema.parse(config)),
  };
}
