/**
 * Training on several processes, one of which is killed at random moments, each time resumed with another number of
 * processes: is the run the one that nothing interrupted?
 */
import { existsSync } from "node:fs";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { hashText, Random } from "../../src/random.js";
import type { MpiLauncher } from "../../test/mpi.js";
import { relativeError } from "../../test/support.js";
import {
  lossCurve,
  processesOf,
  renewals,
  startTraining,
  untilGone,
  weightDifference,
} from "../../test/train-ranks.js";

/** What is tried. */
export interface RankKillsOptions {
  readonly launcher: MpiLauncher;
  /** Arguments of `avseg train`, without `--out`. */
  readonly args: readonly string[];
  /** Environment of the runs. */
  readonly env: NodeJS.ProcessEnv;
  /** The folder of the run that is killed, and that of the same run on one process that is not. */
  readonly out: string;
  readonly uninterrupted: string;
  /** Numbers of processes: of the killed runs, and then of the last, which is left alone. */
  readonly sizes: readonly number[];
  /** Longest time from a checkpoint to a kill, in milliseconds; after the next one or two of them. */
  readonly maxDelay: number;
  readonly seed: number;
  readonly log?: ((line: string) => void) | undefined;
}

/** How it ended. */
export interface RankKillsResult {
  /** Runs that were killed, and those that ended before. */
  readonly killed: number;
  readonly ended: number;
  readonly steps: number;
  /** Largest relative differences from the uninterrupted run. */
  readonly lossDifference: number;
  readonly weightDifference: number;
}

/** Runs it. Throws when a run fails that was not killed, or leaves processes. */
export async function rankKills(options: RankKillsOptions): Promise<RankKillsResult> {
  const { launcher, args, env, out, uninterrupted, sizes, maxDelay, seed, log } = options;
  const random = new Random(seed, hashText("ranks"));
  const run = (size: number) => startTraining({ launcher, size }, [...args, "--out", out, "--resume"], env);
  let [killed, ended] = [0, 0];
  for (const size of sizes.slice(0, -1)) {
    const running = run(size);
    await renewals(out, running, 1 + random.integer(2));
    await sleep(random.uniform(0, maxDelay));
    const ids = processesOf(out);
    if (ids.length > 0) {
      process.kill(random.pick(ids), "SIGKILL");
      killed++;
    } else ended++;
    const { code, output } = await running.ended;
    if (ids.length === 0 && code !== 0) throw new Error(output);
    await untilGone(out);
    log?.(`${ids.length > 0 ? "killed one of" : "ended with"} ${size} after step ${await stepsIn(out)}`);
  }
  const { code, output } = await run(sizes.at(-1) ?? 1).ended;
  if (code !== 0) throw new Error(output);
  const curve = await lossCurve(out);
  return {
    killed,
    ended,
    steps: curve.length,
    lossDifference: relativeError(curve, await lossCurve(uninterrupted)),
    weightDifference: await weightDifference(uninterrupted, out),
  };
}

async function stepsIn(folder: string): Promise<number> {
  return existsSync(path.join(folder, "metrics.jsonl")) ? (await lossCurve(folder)).length : 0;
}
