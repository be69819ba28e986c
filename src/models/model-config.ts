/**
 * What a model is made of, as plain data: everything that fixes its parameters and its formulas. The metadata of
 * checkpoints and exported models hold it, so that a file alone rebuilds its model. Each part's settings are defined
 * once, in the part's own file; configuration files are composed of the same schemas.
 */
import * as z from "zod";
import { firstDifference } from "../diff.js";
import { CheckpointError } from "../errors.js";
import { complaintOf, expecting, integer, oneOf, section } from "../fields.js";
import { decoderSchema } from "./decoder.js";
import { messengerSchema } from "./messenger.js";
import { audioWidth, vggishSchema } from "./vggish.js";
import { stageDims, type VisualConfig, visualProblem, visualSchema } from "./visual-encoder.js";

/** The settings of AVSBench: single source, multiple sources, semantic. */
export const tasks = ["s4", "ms3", "avss"] as const;
/** A setting of AVSBench. */
export type Task = (typeof tasks)[number];

/** Steps of a published clip. */
export const publishedFrameCount = { s4: 5, ms3: 5, avss: 10 } as const satisfies Record<Task, number>;

/** The class names of a binary model. */
export const binaryClasses: readonly string[] = ["sounding object"];

/** Side of the square frames in pixels: four stages halve it five times. */
export const imageSizeSchema = expecting("a multiple of 32, 32 to 4096", (e) =>
  z.number(e).int(e).min(32, e).max(4096, e).multipleOf(32, e),
);

/** A whole model. */
export const avsModelSchema = section({
  task: oneOf(tasks),
  /** Class names: one for the binary tasks; their number is the number of logits. */
  classes: expecting("a list of 1 to 4096 names", (e) =>
    z.array(z.string(e), e).min(1, e).max(4096, e).readonly(),
  ),
  /** Steps per clip; a multiple of `messenger.frames`. */
  frameCount: integer(1, 1024),
  imageSize: imageSizeSchema.default(224),
  visual: visualSchema,
  audio: vggishSchema.prefault({}),
  messenger: messengerSchema.prefault({}),
  decoder: decoderSchema.prefault({}),
});
/** A whole model. */
export type AvsModelConfig = Readonly<z.infer<typeof avsModelSchema>>;

/**
 * A published model: the task's frames and classes, and the form of the decoder that belongs to the encoder. `changes`
 * replaces parts of it.
 * @example publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b5") })
 */
export function publishedModel({
  task,
  visual,
  classes = binaryClasses,
  ...changes
}: Partial<AvsModelConfig> & { readonly task: Task; readonly visual: VisualConfig }): AvsModelConfig {
  const decoder = { project: visual.kind === "resnet50", ...changes.decoder };
  const frameCount = publishedFrameCount[task];
  return avsModelSchema.parse({ frameCount, ...changes, task, visual, classes, decoder });
}

/** The configuration as metadata hold it. */
export function modelConfigToJson(config: AvsModelConfig): string {
  return JSON.stringify(config);
}

/**
 * Reads what `modelConfigToJson` wrote; `where` names the file. Throws `CheckpointError` when it is malformed, has
 * unknown keys (a later version wrote it) or describes an impossible model.
 */
export function modelConfigFromJson(json: string, where: string): AvsModelConfig {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new CheckpointError(`${where}: the model description is not JSON`, {
      cause,
      hint: "The file is damaged; get it again.",
    });
  }
  const result = avsModelSchema.safeParse(value);
  const issue = result.error?.issues[0];
  if (issue) {
    const { path, expected, found, unknownKey } = complaintOf(issue, value);
    const name = ["model", ...path].join(".");
    throw unknownKey
      ? new CheckpointError(`${where}: its description has an unknown key, ${name}`, {
          hint: "A later version of avseg wrote this file; install that version.",
        })
      : new CheckpointError(`${where}: "${name}" is ${found}, expected ${expected}`, {
          hint: "The file is damaged, or was written by another version of avseg.",
        });
  }
  if (!result.success) throw new CheckpointError(`${where}: the model description is not valid`);
  const problem = modelConfigProblem(result.data);
  if (problem === undefined) return result.data;
  throw new CheckpointError(`${where}: impossible model: ${problem.path.join(".")}: ${problem.message}`, {
    hint: "The file is damaged.",
  });
}

/** What only matters in training, and what the data decides. */
const adjustable = /(^|\.)(task|classes|frameCount|imageSize|dropout|dropPath|freezeBatchNorm)$/;

/** The first key below `model` in which two models would compute something else with the same weights. */
export function modelDifference(a: AvsModelConfig, b: AvsModelConfig): ReturnType<typeof firstDifference> {
  return firstDifference(a, b, (key) => !adjustable.test(key));
}

/** Why a model cannot be built: the key that would have to change, and one phrase. */
export interface ModelConfigProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** Checks the rules that span several keys. */
export function modelConfigProblem(config: AvsModelConfig): ModelConfigProblem | undefined {
  const { visual, messenger, decoder, imageSize, frameCount, classes } = config;
  const problem = (path: string, message: string) => ({ path: path.split("."), message });
  const dims = stageDims(visual);
  if (frameCount % messenger.frames !== 0) {
    const text = `${frameCount} steps are not a multiple of messenger.frames (${messenger.frames})`;
    return problem("frameCount", text);
  }
  if (messenger.width % messenger.heads !== 0) {
    return problem("messenger.width", `${messenger.width} is not a multiple of ${messenger.heads} heads`);
  }
  // The embedding is added to the attended queries, which the published widths allow.
  if (messenger.width !== audioWidth) {
    return problem("messenger.width", `${messenger.width} is not ${audioWidth}, the width of the embedding`);
  }
  const encoder = visualProblem(visual);
  if (encoder) return problem(`visual.${encoder.key}`, encoder.message);
  const fused = decoder.project ? [decoder.convDim] : dims;
  const odd = fused.find((d) => d % decoder.heads !== 0);
  if (odd !== undefined) {
    return problem("decoder.heads", `${odd} channels are not a multiple of ${decoder.heads} heads`);
  }
  const tooLarge = decoder.reductions.findIndex((r, i) => r > imageSize / 2 ** (i + 2));
  if (tooLarge >= 0) {
    const text = `${decoder.reductions[tooLarge]} leaves no token of stage ${tooLarge + 1}`;
    return problem("decoder.reductions", text);
  }
  if (config.task !== "avss" && classes.length !== 1) {
    return problem("classes", `${classes.length} classes in a binary task, expected 1`);
  }
  return undefined;
}
