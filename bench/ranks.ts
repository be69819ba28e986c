/**
 * `node dist/bench/ranks.js [--rounds N] [MODEL...]`: throughput of training on two processes with one thread each against
 * one process with two threads, at a batch of four clips, in turns. Needs MPI. Default: PVTv2-B0 and B5, two rounds.
 * Adds to `bench/results/<date>-ranks.json`.
 */
import { loadavg } from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { type PvtName, pvtSizes } from "../src/models/pvt-v2.js";
import { mpiLaunchers } from "../test/mpi.js";
import { machine } from "./machine.js";
import { addToResults } from "./results-file.js";
import { median } from "./samples.js";
import { measureSteps } from "./start-ranks.js";

const batchSize = 4;
const steps = 4;

async function compare(model: PvtName, rounds: number) {
  const [launcher] = mpiLaunchers();
  if (launcher === undefined) throw new Error("no MPI: install it, e.g. with apt-get install openmpi-bin");
  const options = { task: "s4", model, batchSize, steps } as const;
  const [one, two, wait, reduce]: [number[], number[], number[], number[]] = [[], [], [], []];
  let trainedParameters = 0;
  for (let round = 1; round <= rounds; round++) {
    one.push(...(await measureSteps({ ...options, threads: 2 })).seconds);
    const ranks = await measureSteps({ ...options, threads: 1 }, { launcher, count: 2 });
    two.push(...ranks.seconds);
    wait.push(...ranks.waitSeconds);
    reduce.push(...ranks.reduceSeconds);
    trainedParameters = ranks.trainedParameters;
    process.stderr.write(`${model}: round ${round} of ${rounds}\n`);
  }
  return {
    mpi: launcher.family,
    batchSize,
    trainedParameters,
    oneProcessSeconds: median(one),
    twoProcessesSeconds: median(two),
    throughputRatio: median(one) / median(two),
    fastestRatio: Math.min(...one) / Math.min(...two),
    waitSeconds: median(wait),
    reduceSeconds: median(reduce),
    load: loadavg(),
  };
}

const { values, positionals } = parseArgs({
  options: { rounds: { type: "string", default: "2" } },
  allowPositionals: true,
});
const names = Object.keys(pvtSizes) as PvtName[];
const models = positionals.length === 0 ? ["pvt-v2-b0", "pvt-v2-b5"] : positionals;
for (const model of models) {
  const known = names.find((name) => name === model);
  if (known === undefined) throw new Error(`${model}: expected one of ${names.join(", ")}`);
  const result = await compare(known, Number(values.rounds));
  const file = addToResults("ranks", {
    command: "node dist/bench/ranks.js",
    machine: machine(),
    [known]: result,
  });
  const clips = (seconds: number): string => `${(batchSize / seconds).toFixed(2)} clips/s`;
  process.stdout.write(
    `${known}: one process of two threads ${clips(result.oneProcessSeconds)}, two of one thread ` +
      `${clips(result.twoProcessesSeconds)}: ${result.throughputRatio.toFixed(2)} (fastest steps ${result.fastestRatio.toFixed(2)}); ` +
      `sum of the gradients ${result.reduceSeconds.toFixed(3)} s\n` +
      `written to ${path.relative(process.cwd(), file)}\n`,
  );
}
