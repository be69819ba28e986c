/**
 * `node dist/bench/scale/training.js measure [s4] [ms3] [avss] [two-ranks] [sums]` measures training with PVTv2-B5 on this
 * machine, or the named parts of it, into `bench/results/<date>-training.json` (two to four minutes for each; `two-ranks`
 * and `sums` need Open MPI and root);
 * `node dist/bench/scale/training.js plan FILE [--price P] [--cores N] [--gigabits N]` computes hours and cost on 1, 4 and
 * 16 machines from it, and how the computation agrees with the runs of two ranks.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import path from "node:path";
import { parseArgs, promisify } from "node:util";
import type { Task } from "../../src/models/model-config.js";
import { type MpiLauncher, mpiLaunchers } from "../../test/mpi.js";
import { tempDir } from "../../test/temp-dir.js";
import { openTwoHosts, type TwoHosts } from "../../test/two-hosts.js";
import { machine } from "../machine.js";
import { addToResults } from "../results-file.js";
import { median } from "../samples.js";
import { measureSteps, type Processes, type StepTimes } from "../start-ranks.js";
import {
  type Network,
  reduceSeconds,
  type SumWay,
  simulateTraining,
  type TaskConstants,
} from "./simulate-training.js";

const model = "pvt-v2-b5";
const tasks = ["s4", "ms3", "avss"] as const;
/** Of the runs that the computation is compared with. */
const batchSize = 4;
/** Of the link between the two hosts of `hosts`. */
const gigabits = 1;

/** Clips of AVSBench, and the published recipes (`config/<task>/pvt2.yaml`). */
const recipes: Readonly<
  Record<Task, { clips: number; validationClips: number; epochs: number; evaluations: number }>
> = {
  s4: { clips: 3452, validationClips: 740, epochs: 30, evaluations: 30 },
  ms3: { clips: 296, validationClips: 64, epochs: 60, evaluations: 60 },
  avss: { clips: 8498, validationClips: 1304, epochs: 30, evaluations: 20 },
};

/** Median times of a step on two ranks of one thread. */
interface StepRun {
  readonly stepSeconds: number;
  readonly waitSeconds: number;
  readonly reduceSeconds: number;
}

interface Measurements extends Partial<Record<Task, TaskConstants>> {
  readonly twoRanks?: TwoRanks;
  readonly sums?: Sums;
}

/** Steps of S4 on two ranks, and what the computation needs of the same minutes. */
interface TwoRanks {
  /** Of a clip on one thread, alone, before and after. */
  readonly clipSeconds: number;
  readonly oneHost: StepRun;
  readonly twoHosts: StepRun;
  /** How gradients were summed. Default: `ring`. */
  readonly sum?: SumWay;
}

/** Times of the sum alone, on two hosts, both ways in turns. */
interface Sums {
  readonly values: number;
  readonly seconds: Readonly<Record<SumWay, readonly number[]>>;
}

/** Time of computing, without the weights' update, the sum and the wait for others. */
function computing(times: StepTimes): number[] {
  return times.seconds.map(
    (seconds, i) =>
      seconds - (times.updateSeconds[i] ?? 0) - (times.waitSeconds[i] ?? 0) - (times.reduceSeconds[i] ?? 0),
  );
}

async function measureTask(task: Task): Promise<TaskConstants> {
  const options = { task, model, batchSize: 1, steps: task === "avss" ? 2 : 4 } as const;
  const [one, two] = [
    await measureSteps({ ...options, threads: 1 }),
    await measureSteps({ ...options, threads: 2 }),
  ];
  return {
    clipSeconds: { one: median(computing(one)), two: median(computing(two)) },
    updateSeconds: median([...one.updateSeconds, ...two.updateSeconds]),
    openSeconds: two.openSeconds,
    trainedParameters: one.trainedParameters,
  };
}

async function measureRanks(processes: Processes): Promise<StepRun> {
  const times = await measureSteps({ task: "s4", model, batchSize, steps: 2, threads: 1 }, processes);
  return {
    stepSeconds: median(times.seconds),
    waitSeconds: median(times.waitSeconds),
    reduceSeconds: median(times.reduceSeconds),
  };
}

interface Scope {
  after(work: () => unknown): void;
}

async function twoHosts(scope: Scope, launcher: MpiLauncher): Promise<TwoHosts> {
  const hosts = openTwoHosts(scope, {
    launcher,
    folder: await tempDir(scope),
    rate: `${gigabits}gbit`,
  });
  if (hosts === undefined) throw new Error("no network namespaces can be made here: run it as root");
  return hosts;
}

async function measureTwoRanks(scope: Scope): Promise<TwoRanks> {
  const launcher = openMpi();
  const hosts = await twoHosts(scope, launcher);
  const alone = () => measureSteps({ task: "s4", model, batchSize: 1, steps: 2, threads: 1 });
  const before = await alone();
  const oneHost = await measureRanks({ launcher, count: 2 });
  const onTwoHosts = await measureRanks({ launcher: hosts.launcher, count: 2 });
  const clipSeconds = median([...computing(before), ...computing(await alone())]);
  return { clipSeconds, oneHost, twoHosts: onTwoHosts };
}

/** Open MPI's numbers of the ways. */
const openMpiWays: readonly (readonly [SumWay, number])[] = [
  ["ring", 1],
  ["tree", 2],
];

async function measureSums(scope: Scope): Promise<Sums> {
  const { launcher } = await twoHosts(scope, openMpi());
  const values = 11_872_001; // of S4
  const seconds: Record<SumWay, number[]> = { ring: [], tree: [] };
  for (let round = 0; round < 3; round++) {
    for (const [way, number] of openMpiWays) {
      const choice = ["--mca", "coll_libnbc_iallreduce_algorithm", String(number)];
      const program = [process.execPath, path.join(import.meta.dirname, "sum-ranks.js"), String(values), "3"];
      const { stdout } = await promisify(execFile)(
        launcher.command,
        [...launcher.args, ...choice, "-n", "2", ...program],
        { env: { ...process.env, ...launcher.env } },
      );
      const times: number[] = JSON.parse(stdout);
      seconds[way].push(...times);
    }
  }
  return { values, seconds };
}

function openMpi(): MpiLauncher {
  const launcher = mpiLaunchers().find(({ family }) => family === "Open MPI");
  if (launcher === undefined) throw new Error("no Open MPI: install it with apt-get install openmpi-bin");
  return launcher;
}

async function measure(parts: readonly string[]): Promise<void> {
  const atEnd: (() => unknown)[] = [];
  const scope: Scope = { after: (work) => void atEnd.unshift(work) };
  const report = (part: string, result: object): void => {
    const command = "node dist/bench/scale/training.js measure";
    const file = addToResults("training", { command, machine: machine(), load: loadavg(), [part]: result });
    process.stderr.write(
      `${part}: ${JSON.stringify(result)}\nwritten to ${path.relative(process.cwd(), file)}\n`,
    );
  };
  const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
  try {
    for (const task of tasks) if (wanted(task)) report(task, await measureTask(task));
    if (wanted("two-ranks")) report("twoRanks", await measureTwoRanks(scope));
    if (wanted("sums")) report("sums", await measureSums(scope));
  } finally {
    for (const act of atEnd) await act();
  }
}

interface Assumptions {
  readonly coresPerMachine: number;
  readonly gigabits: number;
  readonly pricePerHour: number;
}

/** How much times of clips vary: they are of equal size, so that only the machine makes a difference. */
const deviation = 0.05;
/** A forward pass takes half as long as a training step (`npm run bench`: 2.05 to 2.4 forwards to a step). */
const forwardFraction = 0.5;

function plan(file: string, { coresPerMachine, gigabits: network, pricePerHour }: Assumptions): void {
  const measured: Measurements = JSON.parse(readFileSync(file, "utf8"));
  const gradientBytes = 8 * (measured.s4?.trainedParameters ?? 0);
  const hostBytesPerSecond = gradientBytes / (measured.twoRanks?.oneHost.reduceSeconds ?? Number.NaN);
  const linkOf = (rate: number, sum?: SumWay): Network => {
    return { bytesPerSecond: (rate * 1e9) / 8, latencySeconds: 1e-4, hostBytesPerSecond, sum };
  };
  const rows = tasks.flatMap((task) => {
    const constants = measured[task];
    if (constants === undefined) return [];
    return [
      { machines: 1, batch: 4 },
      { machines: 4, batch: 4 },
      { machines: 4, batch: 16 },
      { machines: 16, batch: 64 },
    ].map(({ machines, batch }) => {
      const ranks = Math.min(batch, machines * Math.min(coresPerMachine, 4));
      const hosts = Math.min(machines, ranks);
      const threadsPerRank = Math.floor((coresPerMachine * hosts) / ranks);
      const layout = { ranks, hosts, threadsPerRank, batchSize: batch, network: linkOf(network) };
      const run = simulateTraining({ ...constants, ...recipes[task], forwardFraction, deviation, ...layout });
      const hours = run.seconds / 3600;
      return [
        task,
        machines,
        batch,
        `${ranks} x ${threadsPerRank}`,
        run.stepSeconds.toFixed(2),
        `${(100 * run.waiting).toFixed(0)}%`,
        `${(100 * run.reducing).toFixed(0)}%`,
        hours.toFixed(1),
        (hours * machines * pricePerHour).toFixed(0),
      ];
    });
  });
  const head = [
    "task",
    "machines",
    "batch",
    "processes x threads",
    "step, s",
    "waiting",
    "summing",
    "hours",
    "cost",
  ];
  for (const row of [head, head.map(() => "---"), ...rows]) console.log(`| ${row.join(" | ")} |`);
  const { s4, twoRanks, sums } = measured;
  if (sums !== undefined) {
    for (const [way] of openMpiWays) {
      const link = { ranks: 2, hosts: 2, trainedParameters: sums.values, network: linkOf(gigabits, way) };
      const [seconds, fastest] = [sums.seconds[way], Math.min(...sums.seconds[way])];
      console.log(
        `sum on two hosts (${way}): ${median([...seconds]).toFixed(2)} s measured (fastest ${fastest.toFixed(2)}), ` +
          `${reduceSeconds(link).toFixed(2)} s predicted`,
      );
    }
  }
  if (s4 === undefined || twoRanks === undefined) return;
  const now = { ...s4, clipSeconds: { one: twoRanks.clipSeconds, two: twoRanks.clipSeconds } };
  for (const [hosts, run] of [
    [1, twoRanks.oneHost],
    [2, twoRanks.twoHosts],
  ] as const) {
    const layout = { batchSize, ranks: 2, threadsPerRank: 1, hosts, network: linkOf(gigabits, twoRanks.sum) };
    const predicted = simulateTraining({ ...now, ...recipes.s4, forwardFraction, deviation, ...layout });
    const summing = predicted.reducing * predicted.stepSeconds;
    console.log(
      `two ranks on ${hosts} host(s): a step of ${run.stepSeconds.toFixed(2)} s measured, ${predicted.stepSeconds.toFixed(2)} s ` +
        `predicted; sum of gradients ${run.reduceSeconds.toFixed(2)} s measured, ${summing.toFixed(2)} s predicted`,
    );
  }
}

const { values, positionals } = parseArgs({
  options: {
    price: { type: "string", default: "0.4" },
    cores: { type: "string", default: "8" },
    gigabits: { type: "string", default: "10" },
  },
  allowPositionals: true,
});
const [command, ...rest] = positionals;
if (command === "measure") await measure(rest);
else if (command === "plan") {
  plan(rest[0] ?? "", {
    coresPerMachine: Number(values.cores),
    gigabits: Number(values.gigabits),
    pricePerHour: Number(values.price),
  });
} else {
  console.error("expected `measure [s4] [ms3] [avss] [two-ranks] [sums]`, or `plan FILE`");
  process.exitCode = 2;
}
