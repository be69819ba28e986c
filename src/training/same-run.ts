/** Whether a checkpoint can go on under a configuration. */
import type { Config } from "../config/schema.js";
import { ConfigError } from "../errors.js";

/** Keys that do not change what a step computes, or that extend a run. */
const free = [
  /^description$/,
  /^workDir$/,
  /^data\.(root|workers|testBatchSize|audioCache)$/,
  /^training\.(epochs|init|evaluateFrom|evaluateEvery|valSplit|selectBy)$/,
  /^training\.checkpointEvery/,
  /^model\.(visual|audio)\.weights$/, // their content is compared instead
];

/**
 * Throws `ConfigError` naming the first key in which the run of checkpoint `file` differs from `current` in a
 * way that would make it another run.
 */
export function requireSameRun(saved: Config, current: Config, file: string): void {
  const [before, now] = [leaves(saved), leaves(current)];
  for (const key of new Set([...before.keys(), ...now.keys()])) {
    const [a, b] = [before.get(key), now.get(key)];
    if (a === b || free.some((pattern) => pattern.test(key))) continue;
    throw new ConfigError(`${key}: expected ${a ?? "nothing"} as in ${file}, found ${b ?? "nothing"}`, {
      hint: `Resume with --set ${key}=${a ?? "null"}, or start a new run with --out.`,
    });
  }
}

/** Every value that is no section, by its dotted key, as JSON. */
function leaves(value: unknown, path = "", out = new Map<string, string>()): Map<string, string> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    for (const [key, child] of Object.entries(value))
      leaves(child, path === "" ? key : `${path}.${key}`, out);
  } else if (value !== undefined) {
    out.set(path, JSON.stringify(value));
  }
  return out;
}
