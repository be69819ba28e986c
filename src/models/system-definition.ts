/** What the file of a system says about itself, so that one entry in a table makes it known everywhere. */

import type * as z from "zod";
import type { SoundForm } from "../media/sound-inputs.js";
import type { AvsModel } from "./avs-model.js";
import type { InferenceHints, ModelConfigProblem, Task } from "./base-config.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** Settings of a section by name, as configuration files give them. */
type Settings = Readonly<Record<string, unknown>>;

/** The published training of a system: what a configuration file gets where it leaves keys out. */
export interface Recipe {
  readonly epochs: number;
  readonly losses: Readonly<Record<string, number>>;
  /** First epoch, counted from 0, after which the model is evaluated. */
  readonly evaluateFrom: number;
  readonly evaluateEvery?: number | undefined;
  /** Default: that of the schema. */
  readonly optimizer?: Settings | undefined;
  /** Clips per step. Default: that of the schema. */
  readonly batchSize?: number | undefined;
  /** Side of the frames. Default: that of the schema. */
  readonly imageSize?: number | undefined;
  /** Epoch from which the visual encoder trains. Default: never. */
  readonly freezeEpochs?: number | undefined;
  /** Settings of the system's own sections that differ from the defaults of the schema. */
  readonly sections?: Readonly<Record<string, Settings>> | undefined;
}

/** Where the state dicts of a system hold what other files need to know. Prefixes are without the last dot. */
export interface SystemKeys {
  /** A key that every state dict of this system has, and of no other system. */
  readonly anchor: string;
  /** Prefixes that its visual encoders may have. */
  readonly visual: readonly string[];
  /** Prefixes of the layers whose shapes depend on the number of classes. */
  readonly classifiers: readonly string[];
  /** The key of this system that another version of a library writes differently; others as they are. */
  readonly rename?: ((key: string) => string) | undefined;
}

/** Losses that read outputs of one system only. */
export const systemLosses = ["matching", "mix", "concepts"] as const;
/** A loss that reads outputs of one system only. */
export type SystemLoss = (typeof systemLosses)[number];

/** A system: the description of its models, and the functions over it. */
export interface SystemDefinition<S extends z.ZodObject> {
  /** Its name in messages. */
  readonly title: string;
  /**
   * All settings with their defaults; `kind` is a literal. The keys besides those of `baseShape` are sections of `model`
   * in configuration files.
   */
  readonly schema: S;
  readonly keys: SystemKeys;
  /** Whether configurations of this system can be trained. */
  readonly trainable: boolean;
  /** Losses that only this system has outputs for, and the tasks that have them. */
  readonly losses?: Readonly<Partial<Record<SystemLoss, readonly Task[]>>> | undefined;
  /** The published training of a task with the visual encoder that a configuration file names. */
  recipe(task: Task, visual: string): Recipe;
  /** Default: `log-mel`. */
  readonly soundForm?: SoundForm | undefined;
  /** Whether its models take `frameMask` in every task. Default: in AVSS, whose clips are padded, only. */
  readonly masksFrames?: boolean | undefined;
  /** A JSON file that lies beside published checkpoints and says what their shapes do not. Default: none. */
  readonly settingsFile?: string | undefined;
  /** Side of the square logits and masks in pixels. Default: `imageSize`. */
  maskSize?(config: z.infer<S>): number;
  /** A rule that spans several settings: the key that would have to change, and why. */
  problem?(config: z.infer<S>): ModelConfigProblem | undefined;
  /** Builds a model of a possible configuration. */
  build(config: z.infer<S>): AvsModel;
  /**
   * The model of a state dict with published keys. What leaves no trace in shapes is assumed as published. Throws
   * `CheckpointError` when a part is missing.
   */
  infer(shapes: StateDictShapes, hints: InferenceHints): z.infer<S>;
}

/** Lets the functions of a definition take the models of any system: they are checked against its schema first. */
export function defineSystem<S extends z.ZodObject>(definition: SystemDefinition<S>) {
  const { schema } = definition;
  return {
    ...definition,
    maskSize: (config: unknown) => definition.maskSize?.(schema.parse(config)),
    problem: (config: unknown) => definition.problem?.(schema.parse(config)),
    build: (config: unknown) => definition.build(schema.parse(config)),
  };
}
