/** Whether a checkpoint can be resumed under a configuration. */
import type { Config } from "../config/schema.js";
import { firstDifference } from "../diff.js";
import { ConfigError } from "../errors.js";

/** Keys that change neither what a step computes nor which epoch is the best, or that extend a run. */
const ignoredKeys = [
  /^description$/,
  /^workDir$/,
  /^data\.(root|workers|testBatchSize|audioCache)$/,
  /^training\.(epochs|init|evaluateFrom|evaluateEvery)$/,
  /^training\.checkpointEvery/,
  /^(training\.(clipsAtOnce|recompute)|runtime\.threads)$/, // the same but for rounding
  /^model\.(visual|audio)\.weights$/, // their content is compared instead
];

/**
 * Throws `ConfigError` naming the first key in which the run of checkpoint `file` differs from `current` in a
 * way that would make it a different run.
 */
export function requireSameRun(saved: Config, current: Config, file: string): void {
  const difference = firstDifference(
    saved,
    current,
    (key) => !ignoredKeys.some((pattern) => pattern.test(key)),
  );
  if (difference === undefined) return;
  const {
    key,
    values: [before, now],
  } = difference;
  throw new ConfigError(`${key}: expected ${before ?? "nothing"} as in ${file}, found ${now ?? "nothing"}`, {
    hint: `Resume with --set ${key}=${before ?? "null"}, or start a new run with --out.`,
  });
}
