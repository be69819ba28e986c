/** Checks untyped input and returns a `Config`. Errors name the key, the file and the line. */
import * as z from "zod";
import { firstDifference } from "../diff.js";
import { ConfigError } from "../errors.js";
import { complaintOf, valueAt } from "../fields.js";
import { tasks } from "../models/model-config.js";
import { systemLosses } from "../models/system-definition.js";
import { hasSharedEncoders, sectionsOf, systems } from "../models/systems.js";
import { modelProblem, visualSettings } from "./model-from-config.js";
import { type Config, configSchema, withRecipe } from "./schema.js";
import { nearest } from "./suggest.js";

/** A key as a list of its parts, e.g. `["training", "optimizer", "learningRate"]`. */
export type KeyPath = readonly (string | number)[];

/** Configuration values and their origins. */
export interface Source {
  readonly value: unknown;
  /** The place of a key, for messages: `x.yaml line 12`, or `--set a.b=1`. */
  where(path: KeyPath): string;
}

/** Checks values and fills in defaults. Throws `ConfigError` for the first thing wrong. */
export function checkConfig(source: Source): Config {
  const complete = withRecipe(source.value);
  const result = configSchema.safeParse(complete);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw issue ? configError(issue, complete, source) : new ConfigError("the configuration is not valid");
  }
  checkTogether(result.data, source);
  return result.data;
}

/**
 * A configuration from the values that a YAML file would hold, checked and completed with the published defaults.
 * Throws `ConfigError` that names the key.
 *
 * @example
 * const config = configFromObject({ task: "s4", data: { root: "data/AVSBench" }, training: { epochs: 10 } });
 */
export function configFromObject(value: unknown): Config {
  return checkConfig({ value, where: () => "given in code" });
}

/** Rules that span several keys. */
function checkTogether(config: Config, source: Source): void {
  const fail = (path: KeyPath, message: string): never => {
    throw new ConfigError(`${path.join(".")}: ${message} (${source.where(path)})`);
  };
  const { visual } = config.model;
  for (const key of visualSettings(visual).refused) {
    fail(
      ["model", "visual", key],
      `does not apply to ${visual.kind}: it has no such setting, or a fixed one`,
    );
  }
  const problem = modelProblem(config);
  if (problem) fail(problem.path, problem.message);
  const { losses, optimizer } = config.training;
  checkSystem(config, source, fail);
  const semantic = config.task === "avss";
  const wrong = semantic ? (["dice", "focal", "bce"] as const) : (["crossEntropy"] as const);
  for (const name of wrong) {
    if (losses[name] > 0)
      fail(["training", "losses", name], `expected 0, as this loss does not apply to ${config.task}`);
  }
  if (Object.values(losses).every((weight) => weight === 0)) {
    fail(["training", "losses"], "expected at least one loss with a weight above 0");
  }
  if (losses.concepts > 0 && config.model.concepts.names.length === 0) {
    fail(["training", "losses", "concepts"], "expected 0, or names of concepts under model.concepts.names");
  }
  if (optimizer.nesterov && optimizer.momentum === 0) {
    fail(["training", "optimizer", "nesterov"], "expected a momentum above 0 with it");
  }
}

/** Sections and losses belong to one system each. */
function checkSystem(
  { model: { kind }, task, training: { losses } }: Config,
  { value }: Source,
  fail: (path: KeyPath, message: string) => never,
): void {
  for (const key of hasSharedEncoders(kind) ? [] : ["visual", "audio"]) {
    const given = valueAt(value, ["model", key]);
    if (given !== undefined && !isDefault(value, key, given)) {
      fail(["model", key], `models of kind ${kind} have encoders of their own`);
    }
  }
  for (const system of systems) {
    const owner = system.schema.shape.kind.value;
    for (const key of Object.keys(sectionsOf(system))) {
      const given = valueAt(value, ["model", key]);
      // A complete configuration, as checkpoints hold it, has the sections of all kinds with their defaults.
      if (kind !== owner && given !== undefined && !isDefault(value, key, given)) {
        fail(["model", key], `belongs to models of kind ${owner}, this one is of kind ${kind}`);
      }
    }
    for (const loss of systemLosses) {
      const tasksWithLoss = system.losses?.[loss];
      if (!tasksWithLoss || losses[loss] === 0 || (kind === owner && tasksWithLoss.includes(task))) continue;
      const limit =
        tasksWithLoss.length === tasks.length ? "" : `, in the tasks ${tasksWithLoss.join(" and ")}`;
      fail(["training", "losses", loss], `applies to models of kind ${owner}${limit}`);
    }
  }
}

/**
 * Whether `given` is what the section `key` of the model holds where a configuration leaves it out: one of any setting of
 * AVSBench, as a checkpoint can be fine-tuned in another setting.
 */
function isDefault(value: unknown, key: string, given: unknown): boolean {
  const model = { ...entriesOf(valueAt(value, ["model"])), [key]: undefined };
  return tasks.some((task) => {
    const { data } = configSchema.safeParse(withRecipe({ ...entriesOf(value), task, model }));
    const standard = entriesOf(valueAt(data, ["model", key]));
    return firstDifference(standard, entriesOf(given), () => true) === undefined;
  });
}

function entriesOf(section: unknown): Readonly<Record<string, unknown>> {
  return typeof section === "object" && section !== null ? { ...section } : {};
}

function configError(issue: z.core.$ZodIssue, value: unknown, source: Source): ConfigError {
  const { path, expected, found, unknownKey } = complaintOf(issue, value);
  const where = source.where(path);
  if (unknownKey) {
    const outer = path.slice(0, -1);
    const known = keysAt(configSchema, outer);
    const guess = nearest(found, known);
    return new ConfigError(`unknown key ${path.join(".")} (${where})`, {
      hint: guess ? `Did you mean ${[...outer, guess].join(".")}?` : `Known keys here: ${known.join(", ")}.`,
    });
  }
  const name = path.length === 0 ? "the configuration" : path.join(".");
  const given = String(valueAt(value, path));
  const guess = issue.code === "invalid_value" ? nearest(given, issue.values.map(String)) : undefined;
  return new ConfigError(`${name}: expected ${expected}, found ${found} (${where})`, {
    hint: guess && `Did you mean ${guess}?`,
  });
}

/** The keys that the section at `path` may have. */
function keysAt(schema: z.ZodType, path: KeyPath): string[] {
  let current: unknown = unwrap(schema);
  for (const part of path) {
    if (!(current instanceof z.ZodObject)) return [];
    current = unwrap(current.shape[String(part)]);
  }
  return current instanceof z.ZodObject ? Object.keys(current.shape) : [];
}

function unwrap(schema: unknown): unknown {
  const wraps =
    schema instanceof z.ZodPrefault ||
    schema instanceof z.ZodDefault ||
    schema instanceof z.ZodNullable ||
    schema instanceof z.ZodOptional;
  return wraps ? unwrap(schema.unwrap()) : schema;
}
