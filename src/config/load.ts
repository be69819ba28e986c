/** Configuration files from disk: YAML of this project, or a published Python file. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { ConfigError } from "../errors.js";
import { ownOrShipped } from "../node/paths.js";
import { readFailure } from "../node/system-error.js";
import { parsePublishedConfig } from "./published.js";
import type { Config } from "./schema.js";
import { checkConfig } from "./validate.js";
import { parseYamlConfig, withAssignments } from "./yaml.js";

/** Ten times the size of any configuration. YAML of many keys takes time that grows with the square of their number. */
const maxBytes = 32_768;

const valWarning =
  "the published recipe chooses the best epoch on the test split; using val (--set training.valSplit=test for the published choice)";

/** A checked configuration, with what the user should know about it. */
export interface LoadedConfig {
  readonly config: Config;
  readonly warnings: readonly string[];
  /** Warnings that matter for training only. */
  readonly trainingWarnings: readonly string[];
  /** The folder of a run: `workDir`, else `work_dir/<task>/<file name>`. */
  readonly workDir: string;
}

/**
 * Reads a configuration, `.py` as published and anything else as YAML, and applies `--set` assignments to it.
 * Configurations that are part of avseg (`config/s4/pvt2.yaml`) are found from any folder. With `task`, a file of
 * another task is refused. Throws `ConfigError`.
 *
 * @example
 * const { config, workDir } = await loadConfig("config/s4/pvt2.yaml", { set: ["data.batchSize=2"] });
 */
export async function loadConfig(
  file: string,
  options: { task?: Config["task"] | undefined; set?: readonly string[] | undefined } = {},
): Promise<LoadedConfig> {
  const text = await readText(file);
  const published = file.endsWith(".py") ? parsePublishedConfig(text, file, options.task) : undefined;
  const source = withAssignments(published?.source ?? parseYamlConfig(text, file), options.set ?? []);
  const config = checkConfig(source);
  if (options.task && config.task !== options.task) {
    throw new ConfigError(
      `task: expected ${options.task}, found ${config.task} (${source.where(["task"])})`,
      {
        hint: `Use the ${config.task} command, or a configuration for ${options.task}.`,
      },
    );
  }
  const name = path.basename(file, path.extname(file));
  return {
    config,
    warnings: atMost(20, published?.warnings ?? []).map((warning) => `${file}: ${warning}`),
    trainingWarnings:
      published?.selectsOnTest && config.training.valSplit !== "test" ? [`${file}: ${valWarning}`] : [],
    workDir: config.workDir ?? path.join("work_dir", config.task, name),
  };
}

function atMost(max: number, warnings: readonly string[]): readonly string[] {
  if (warnings.length <= max) return warnings;
  return [...warnings.slice(0, max), `${warnings.length - max} more warnings of this kind`];
}

async function readText(name: string): Promise<string> {
  const file = ownOrShipped(name) ?? name;
  try {
    const status = await stat(file);
    if (!status.isFile() && !status.isDirectory()) {
      throw new ConfigError(`${file}: expected a file, found a pipe or a device`);
    }
    if (status.size > maxBytes) {
      throw new ConfigError(`${file}: ${status.size} bytes, expected a configuration of ${maxBytes} at most`);
    }
    return await readFile(file, "utf8");
  } catch (cause) {
    const reason = readFailure(cause);
    if (reason === undefined) throw cause;
    throw new ConfigError(`${file}: ${reason}`, {
      cause,
      hint: "Ready-made configurations are under config/, e.g. config/s4/pvt2.yaml.",
    });
  }
}
