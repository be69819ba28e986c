/** From untyped input to a `Config`, with errors that name the key, the file and the line. */
import { z } from "zod";
import { ConfigError } from "../errors.js";
import { type Config, configSchema, withTaskDefaults } from "./schema.js";
import { nearest } from "./suggest.js";

/** A key as a list of its parts, e.g. `["training", "optimizer", "learningRate"]`. */
export type KeyPath = readonly (string | number)[];

/** Configuration values together with where each came from. */
export interface Source {
  readonly value: unknown;
  /** Where a key stands, for messages: `x.yaml line 12`, or `--set a.b=1`. */
  where(path: KeyPath): string;
}

/** Checks values and fills in defaults. Throws `ConfigError` for the first thing wrong. */
export function checkConfig(source: Source): Config {
  const complete = withTaskDefaults(source.value);
  const result = configSchema.safeParse(complete);
  if (!result.success) {
    const issue = result.error.issues[0];
    throw issue ? configError(issue, complete, source) : new ConfigError("the configuration is not valid");
  }
  checkTogether(result.data, source);
  return result.data;
}

/**
 * A configuration from values in memory, checked and completed with the published defaults: what a YAML file would
 * hold. Throws `ConfigError` that names the key.
 */
export function configFromObject(value: unknown): Config {
  return checkConfig({ value, where: () => "given in code" });
}

/** Rules that span several keys. */
function checkTogether(config: Config, source: Source): void {
  const fail = (path: KeyPath, message: string): never => {
    throw new ConfigError(`${path.join(".")}: ${message} (${source.where(path)})`);
  };
  const { visual, messenger } = config.model;
  const sizes = ["dims", "depths", "heads", "mlpRatios", "reductions"] as const;
  for (const key of sizes) {
    const given = visual[key] !== undefined;
    if (given && visual.kind !== "pvt-v2") {
      fail(
        ["model", "visual", key],
        `only kind pvt-v2 takes sizes of its own, ${visual.kind} has fixed ones`,
      );
    }
    if (!given && visual.kind === "pvt-v2") fail(["model", "visual", "kind"], `pvt-v2 needs ${key}`);
  }
  if (visual.lora && visual.kind === "resnet50") {
    fail(["model", "visual", "lora"], "expected a PVTv2 encoder, found resnet50");
  }
  if (messenger.width % messenger.heads !== 0) {
    fail(["model", "messenger", "width"], `${messenger.width} is not a multiple of ${messenger.heads} heads`);
  }
  if (config.data.frameCount % messenger.frames !== 0) {
    const text = `${config.data.frameCount} steps are not a multiple of model.messenger.frames (${messenger.frames})`;
    fail(["data", "frameCount"], text);
  }
  const { losses, optimizer } = config.training;
  const semantic = config.task === "avss";
  const wrong = semantic ? (["dice", "focal", "bce"] as const) : (["crossEntropy"] as const);
  for (const name of wrong) {
    if (losses[name] > 0) fail(["training", "losses", name], `does not apply to ${config.task}`);
  }
  if (Object.values(losses).every((weight) => weight === 0)) {
    fail(["training", "losses"], "every loss has weight 0, so there is nothing to minimise");
  }
  if (optimizer.nesterov && optimizer.momentum === 0) {
    fail(["training", "optimizer", "nesterov"], "needs a momentum above 0");
  }
}

function configError(issue: z.core.$ZodIssue, value: unknown, source: Source): ConfigError {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const known = keysAt(configSchema, path);
    const guess = nearest(key, known);
    return new ConfigError(`unknown key ${[...path, key].join(".")} (${source.where([...path, key])})`, {
      hint: guess ? `Did you mean ${[...path, guess].join(".")}?` : `Known keys here: ${known.join(", ")}.`,
    });
  }
  const found = valueAt(value, path);
  const text =
    found === undefined ? "nothing" : typeof found === "number" ? String(found) : JSON.stringify(found);
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  const name = path.length === 0 ? "the configuration" : path.join(".");
  const guess = issue.code === "invalid_value" ? nearest(String(found), issue.values.map(String)) : undefined;
  return new ConfigError(
    `${name}: expected ${issue.message}, found ${shown} (${source.where(path)})`,
    guess ? { hint: `Did you mean ${guess}?` } : {},
  );
}

function valueAt(value: unknown, path: KeyPath): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Object.entries(current).find(([key]) => key === String(part))?.[1];
  }
  return current;
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
