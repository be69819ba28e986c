/**
 * `node dist/bench/scale/kill-ranks.js [kills] [seed]`: trains a small S4 model without interruption and with kills at
 * random moments, and prints what `rankKills` finds, as JSON. Needs MPI and `/proc`. Default: 20 kills.
 */
import path from "node:path";
import { mpiLaunchers } from "../../test/mpi.js";
import { tempDir } from "../../test/temp-dir.js";
import { startTraining, writeSmallRun } from "../../test/train-ranks.js";
import { rankKills } from "./rank-kills.js";

const [kills = 20, seed = 1] = process.argv.slice(2).map(Number);
const atEnd: (() => Promise<void>)[] = [];
try {
  const [launcher] = mpiLaunchers();
  if (launcher === undefined) throw new Error("no MPI: install it, e.g. with apt-get install openmpi-bin");
  const folder = await tempDir({ after: (work: () => Promise<void>) => void atEnd.unshift(work) });
  const file = await writeSmallRun(folder, "kills", {
    task: "s4",
    training: "checkpointEverySteps: 1",
    epochs: 16,
    freezeEpochs: 8,
  });
  const env = { AVSEG_CACHE: path.join(folder, "cache") };
  const [out, uninterrupted] = [path.join(folder, "killed"), path.join(folder, "whole")];
  const { code, output } = await startTraining(undefined, ["s4", file, "--out", uninterrupted], env).ended;
  if (code !== 0) throw new Error(output);
  const sizes = Array.from({ length: kills + 1 }, (_, i) => [2, 3, 1][i % 3] ?? 1);
  const args = ["s4", file];
  const log = (line: string): void => void process.stderr.write(`${line}\n`);
  const result = await rankKills({
    launcher,
    args,
    env,
    out,
    uninterrupted,
    sizes,
    maxDelay: 400,
    seed,
    log,
  });
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
} finally {
  for (const work of atEnd) await work();
}
