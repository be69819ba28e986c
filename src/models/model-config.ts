/**
 * What a model is made of, as plain data: everything that fixes its parameters and its formulas. The metadata of
 * checkpoints and exported models hold it, so that a file alone rebuilds its model. Each part's settings are defined
 * once, in the part's own file; configuration files are composed of the same schemas.
 */
import { firstDifference } from "../diff.js";
import { CheckpointError } from "../errors.js";
import { complaintOf } from "../fields.js";
import { baseProblem, type ModelConfigProblem } from "./base-config.js";
import { type AvsModelConfig, avsModelSchema, systemOf } from "./systems.js";

export {
  binaryClasses,
  defaultImageSize,
  imageSizeSchema,
  type ModelConfigProblem,
  publishedFrameCount,
  type Task,
  tasks,
} from "./base-config.js";
export { publishedModel, type SeavsConfig } from "./seavs.js";

export { type AvsModelConfig, avsModelSchema, type ModelKind } from "./systems.js";

/** Side of the square logits and masks in pixels. */
export function maskSizeOf(config: AvsModelConfig): number {
  return systemOf(config.kind).maskSize(config) ?? config.imageSize;
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
  const result = avsModelSchema.safeParse(withKind(value));
  const issue = result.error?.issues[0];
  if (issue) {
    const { path, expected, found, unknownKey } = complaintOf(issue, withKind(value));
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
const adjustable =
  /(^|\.)(task|classes|frameCount|imageSize|dropout|dropPath|freezeBatchNorm|batchStatistics)$/;

/** The first key below `model` in which two models would compute something else with the same weights. */
export function modelDifference(a: AvsModelConfig, b: AvsModelConfig): ReturnType<typeof firstDifference> {
  return firstDifference(a, b, (key) => !adjustable.test(key));
}

/** Descriptions from before there was more than one system do not name it. */
function withKind(value: unknown): unknown {
  const named = typeof value !== "object" || value === null || Array.isArray(value) || "kind" in value;
  return named ? value : { kind: "seavs", ...value };
}

/** Checks the rules that span several keys. */
export function modelConfigProblem(config: AvsModelConfig): ModelConfigProblem | undefined {
  return baseProblem(config) ?? systemOf(config.kind).problem(config);
}
