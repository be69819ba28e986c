/** What the configurations of all model families have in common. */
import * as z from "zod";
import { CheckpointError } from "../errors.js";
import { expecting, integer, oneOf } from "../fields.js";
import { avssClasses } from "./avss-classes.js";
import { type StateDictShapes, shapesBelow } from "./state-dict-shapes.js";
import { inferVggish, type VggishConfig, vggishSchema } from "./vggish.js";
import { inferVisual, type VisualConfig, visualProblem, visualSchema } from "./visual-encoder.js";

/** The settings of AVSBench: single source, multiple sources, semantic. */
export const tasks = ["s4", "ms3", "avss"] as const;
/** A setting of AVSBench. */
export type Task = (typeof tasks)[number];

/** Steps of a published clip. */
export const publishedFrameCount = { s4: 5, ms3: 5, avss: 10 } as const satisfies Record<Task, number>;

/** The class names of a binary model. */
export const binaryClasses: readonly string[] = ["sounding object"];

/** Side of the square frames in pixels where nothing else is published. */
export const defaultImageSize = 224;

/** Side of the square frames in pixels: four stages halve it five times. */
export const imageSizeSchema = expecting("a multiple of 32, 32 to 4096", (e) =>
  z.number(e).int(e).min(32, e).max(4096, e).multipleOf(32, e),
).default(defaultImageSize);

/** The keys that every model's configuration has: what a clip is. */
export const clipShape = {
  task: oneOf(tasks),
  /** Class names: one for the binary tasks; their number is the number of logits. */
  classes: expecting("a list of 1 to 4096 names", (e) =>
    z.array(z.string(e), e).min(1, e).max(4096, e).readonly(),
  ),
  /** Steps per clip. */
  frameCount: integer(1, 1024),
  imageSize: imageSizeSchema,
};

/** The same, and the encoders that most systems share. */
export const baseShape = {
  ...clipShape,
  visual: visualSchema,
  audio: vggishSchema.prefault({}),
};

/** Why a model cannot be built: the key that would have to change, and one phrase. */
export interface ModelConfigProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** A problem at a dotted path. */
export function problemAt(path: string, message: string): ModelConfigProblem {
  return { path: path.split("."), message };
}

/** What every family's configuration holds. */
export interface ClipConfig {
  readonly task: Task;
  readonly classes: readonly string[];
  readonly frameCount: number;
  readonly imageSize: number;
}

/** What the configurations of families with the shared encoders hold. */
export interface BaseConfig extends ClipConfig {
  readonly visual: VisualConfig;
  readonly audio: VggishConfig;
}

/** Checks the rules that span several keys of every family. */
export function baseProblem({
  task,
  classes,
  visual,
}: ClipConfig & { readonly visual?: VisualConfig | undefined }): ModelConfigProblem | undefined {
  const encoder = visual && visualProblem(visual);
  if (encoder) return problemAt(`visual.${encoder.key}`, encoder.message);
  if (task !== "avss" && classes.length !== 1) {
    return problemAt("classes", `${classes.length} classes in a binary task, expected 1`);
  }
  return undefined;
}

/** What the shapes of a checkpoint do not reveal. */
export interface InferenceHints {
  /** Which binary task. Default: `s4`. More than one logit means `avss`. */
  readonly task?: Task | undefined;
  /** Names of the classes, as many as there are logits. Default: those of AVSBench where there are 71. */
  readonly classes?: readonly string[] | undefined;
  readonly frameCount?: number | undefined;
  readonly imageSize?: number | undefined;
  /** What the system's settings file beside the checkpoint says (`SystemDefinition.settingsFile`), if there is one. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
}

/** State-dict prefixes of a model's encoders, without the last dot. */
export interface EncoderPrefixes {
  readonly visual: string;
  readonly audio: string;
  /** Prefixes of what the system inserts into its visual encoder, which trains although the encoder is frozen. */
  readonly inserted?: readonly string[] | undefined;
}

/** Where a family's checkpoint holds what all families have. */
export interface BaseInference {
  /** The number of logits per pixel. */
  readonly logits: number;
  readonly encoders: EncoderPrefixes;
  /** Side of the frames: of all tasks, or the published one of each. Default: 224. */
  readonly imageSize?: number | Readonly<Record<Task, number>> | undefined;
}

/**
 * What all families' configurations hold, from a checkpoint. The frame count and image size leave no trace in shapes:
 * the published ones are assumed. A checkpoint without an audio encoder goes with the published VGGish.
 * Throws `CheckpointError` when the hints name another number of classes.
 */
export function inferBase(
  shapes: StateDictShapes,
  { logits, encoders, imageSize }: BaseInference,
  hints: InferenceHints,
): BaseConfig {
  const task = logits > 1 ? "avss" : (hints.task ?? "s4");
  const numbered =
    logits === avssClasses.length ? avssClasses : Array.from({ length: logits }, (_, i) => `class ${i}`);
  const classes = hints.classes ?? (logits > 1 ? numbered : binaryClasses);
  if (classes.length !== logits) {
    throw new CheckpointError(
      `${shapes.file}: it has ${logits} logits, but ${classes.length} classes are named`,
      { hint: "Give the class names that the checkpoint was trained with." },
    );
  }
  const visual = inferVisual(shapesBelow(shapes, `${encoders.visual}.`));
  if (visual === undefined) {
    throw new CheckpointError(`${shapes.file}: not a whole model: its visual encoder is missing or unknown`, {
      hint: "Give a checkpoint of the whole model; encoders alone go under `model.visual.weights` or `model.audio.weights`.",
    });
  }
  const audio = shapesBelow(shapes, `${encoders.audio}.`);
  return {
    task,
    classes,
    frameCount: hints.frameCount ?? publishedFrameCount[task],
    imageSize:
      hints.imageSize ??
      (typeof imageSize === "number" ? imageSize : (imageSize?.[task] ?? defaultImageSize)),
    visual,
    audio: audio.has("features.0.weight") ? inferVggish(audio) : vggishSchema.parse({}),
  };
}
