/** Starts training steps on one or several processes and reads their times. */
import { execFile } from "node:child_process";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import type { Task } from "../src/models/model-config.js";
import type { PvtName } from "../src/models/pvt-v2.js";
import type { MpiLauncher } from "../test/mpi.js";

/** What a rank trains. */
export interface StepOptions {
  readonly task: Task;
  readonly model: PvtName;
  /** Of all ranks together. */
  readonly batchSize: number;
  /** Steps after the first one, which is not counted. */
  readonly steps: number;
  /** Of each rank. */
  readonly threads: number;
}

/** What the first rank found, for each step. */
export interface StepTimes {
  readonly seconds: readonly number[];
  /** Of it, changing the weights. */
  readonly updateSeconds: readonly number[];
  /** How long it waited for the others, and how long the sum of the gradients took; 0 on a single rank. */
  readonly waitSeconds: readonly number[];
  readonly reduceSeconds: readonly number[];
  /** Opening the model and the first step. */
  readonly openSeconds: number;
  readonly trainedParameters: number;
}

const script = path.join(import.meta.dirname, "rank-step.js");

/** Processes that train together. */
export interface Processes {
  readonly launcher: MpiLauncher;
  readonly count: number;
}

/** Trains some steps, on this process alone without `processes`. Rests before, so that no earlier run's threads are awake. */
export async function measureSteps(options: StepOptions, processes?: Processes): Promise<StepTimes> {
  const program = [process.execPath, script, JSON.stringify(options)];
  const [command = "", ...args] = processes
    ? [processes.launcher.command, ...processes.launcher.args, "-n", String(processes.count), ...program]
    : program;
  const env = { ...process.env, ...processes?.launcher.env };
  await setTimeout(1500);
  const { stdout } = await promisify(execFile)(command, args, { env });
  const times: StepTimes = JSON.parse(stdout);
  return times;
}
