/** Training on several processes over real MPI libraries, against one process. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, type TestContext } from "node:test";
import { rankKills } from "../bench/scale/rank-kills.js";
import { launchOf } from "../src/distributed/launcher.js";
import { abiOf } from "../src/distributed/mpi-abi.js";
import { loadCheckpoint } from "../src/training/checkpoint.js";
import { readLog } from "../src/training/run-log.js";
import { mpiLaunchers } from "./mpi.js";
import { relativeError } from "./support.js";
import { tempDir } from "./temp-dir.js";
import {
  lossCurve,
  processesOf,
  type RanksOf,
  type Running,
  renewals,
  type SmallRun,
  startTraining,
  trainCommand,
  untilGone,
  weightDifference,
  writeSmallRun,
} from "./train-ranks.js";
import { openTwoHosts } from "./two-hosts.js";

const seed = Number(process.env.AVSEG_RESUME_SEED ?? Math.floor(Math.random() * 2 ** 32));
const dir = await tempDir({ after });
const env = { AVSEG_CACHE: path.join(dir, "cache") };
const launchers = mpiLaunchers();
const absent = "MPI is not installed";

async function train(ranks: RanksOf | undefined, args: readonly string[]): Promise<string> {
  const { code, output } = await startTraining(ranks, args, env).ended;
  assert.equal(code, 0, output);
  return output;
}

/** 20 steps of S4, with an encoder that starts to train in between; several tests compare with its run on one process. */
const single: SmallRun = { task: "s4", freezeEpochs: 2 };
let singleRun: Promise<{ readonly file: string; readonly folder: string }> | undefined;

/** The configuration of `single`, and the folder of its run on one process. */
function runOfOne(): Promise<{ readonly file: string; readonly folder: string }> {
  singleRun ??= (async () => {
    const file = await writeSmallRun(dir, "single", single);
    const folder = path.join(dir, "single-1");
    await train(undefined, ["s4", file, "--out", folder]);
    return { file, folder };
  })();
  return singleRun;
}

interface System extends SmallRun {
  readonly name: string;
  readonly sizes: readonly number[];
  /** Whether one of the processes has no clips. */
  readonly idle?: boolean;
  /** Whether every process computes whole batches. */
  readonly wholeBatches?: boolean;
}

const systems: readonly System[] = [
  { ...single, name: "s4: several processes end with the weights of one", sizes: [3] }, // and of two: on two hosts, below
  {
    name: "ms3, averaged and clipped: several processes end with the weights of one",
    task: "ms3",
    training: "ema: 0.9, clipNorm: 0.05, accumulate: 2",
    batchSize: 1,
    epochs: 3,
    sizes: [3], // for batches of two clips
    idle: true,
  },
  { name: "avss: several processes end with the weights of one", task: "avss", sizes: [2] },
  {
    name: "batch statistics: several processes end with the weights of one",
    task: "ms3",
    model: "kind: tpavi\n  tpavi: { channels: 8 }",
    frameCount: 5,
    epochs: 1,
    sizes: [2],
    wholeBatches: true,
  },
];
for (const { name, sizes, idle = false, wholeBatches = false, ...run } of systems) {
  test(name, async (t) => {
    const [first, second = first] = launchers;
    if (first === undefined || second === undefined) return t.skip(absent);
    const key = name.split(":")[0]?.replaceAll(/\W+/g, "-") ?? name;
    const out = (n: number) => path.join(dir, `${key}-${n}`);
    const shared = run.task === "s4" ? await runOfOne() : undefined;
    const file = shared?.file ?? (await writeSmallRun(dir, key, run));
    const one = shared?.folder ?? out(1);
    if (!shared) await train(undefined, [run.task, file, "--out", one]);
    for (const size of sizes) {
      const launcher = size === 2 ? first : second;
      const output = await train({ launcher, size }, [
        ...[run.task, file, "--out", out(size)],
        ...["--set", "data.workers=1"],
      ]);
      assert.match(output, new RegExp(`${size} processes, 1 thread each`));
      assert.equal(output.match(/^done in/gm)?.length, 1, "only the first process prints");
      assert.match(output, /^of that \d+\.\d s to sum gradients and/m);
      assert.equal(/^1 of them have no clips/m.test(output), idle, output);
      const worst = await weightDifference(one, out(size));
      const curve = relativeError(await lossCurve(out(size)), await lossCurve(one));
      t.diagnostic(`${launcher.family}, ${size} processes: weights differ by ${worst}, losses by ${curve}`);
      assert.ok(worst <= 1e-5, `${size} processes: weights differ by ${worst}`);
      assert.ok(curve <= 1e-5, `${size} processes: losses differ by ${curve}`);
    }
    assert.ok((await lossCurve(one)).length >= (wholeBatches ? 5 : 20), "steps");
    const [step] = await readLog(path.join(out(sizes[0] ?? 2), "metrics.jsonl"));
    if (!wholeBatches) assert.ok(Number(step?.reduceSeconds) > 0, "the cost of the sum is logged");
  });
}

const needsProc = existsSync("/proc/self/cmdline") ? undefined : "/proc absent";

test("killed at random moments and resumed with other numbers of processes, the run is the same", async (t) => {
  const [launcher] = launchers;
  if (launcher === undefined) return t.skip(absent);
  if (needsProc) return t.skip(needsProc);
  const { file, folder } = await runOfOne();
  const moments: string[] = [];
  const result = await rankKills({
    launcher,
    args: ["s4", file, "--set", "training.checkpointEverySteps=2"],
    env,
    out: path.join(dir, "killed"),
    uninterrupted: folder,
    sizes: [2, 3, 1],
    maxDelay: 200,
    seed,
    log: (line) => moments.push(line),
  });
  const history = `AVSEG_RESUME_SEED=${seed}: ${moments.join(", ")}`;
  t.diagnostic(history);
  assert.ok(result.weightDifference <= 1e-5, history);
  assert.ok(result.lossDifference <= 1e-4, history);
});

/** Trains until something ends all ranks; the checkpoint must be whole, and one line must say why. */
async function failure(
  t: TestContext,
  name: string,
  act: (running: Running, folder: string) => Promise<void>,
) {
  const [launcher] = launchers;
  if (launcher === undefined) return t.skip(absent);
  if (needsProc) return t.skip(needsProc);
  const file = await writeSmallRun(dir, "failure", { ...single, epochs: 400, freezeEpochs: -1 });
  const folder = path.join(dir, name);
  const args = ["s4", file, "--out", folder, "--set", "training.checkpointEverySteps=1"];
  const running = startTraining({ launcher, size: 2 }, args, env);
  await renewals(folder, running, 1);
  await act(running, folder);
  const { code, output } = await running.ended;
  await untilGone(folder);
  assert.notEqual(code, 0, output);
  await loadCheckpoint(path.join(folder, "last.safetensors"));
  return output;
}

const messages = (output: string): string[] =>
  output.split("\n").filter((line) => /^avseg: (?!warning)/.test(line));

test("an interruption of one process stops all after the same step, and saves it", async (t) => {
  const output = await failure(t, "interrupted", async (_, folder) => {
    process.kill(processesOf(folder).at(-1) ?? assert.fail("no process"), "SIGTERM");
  });
  if (output === undefined) return;
  const [message, ...others] = messages(output);
  assert.match(message ?? output, /^avseg: interrupted\. All finished steps are saved/);
  assert.deepEqual(others, []);
});

test("Ctrl-C on the launcher ends all processes", async (t) => {
  const output = await failure(t, "ctrl-c", async ({ child }) => {
    child.kill("SIGINT");
  });
  if (output !== undefined) assert.ok(messages(output).length <= 1, output);
});

test("kill -9 of any process ends all, and the launcher says so", async (t) => {
  const output = await failure(t, "kill-9", async (_, folder) => {
    process.kill(processesOf(folder).at(-1) ?? assert.fail("no process"), "SIGKILL");
  });
  if (output === undefined) return;
  assert.deepEqual(messages(output), []);
  assert.match(output, /signal 9/);
});

test("a full disk ends all with one message and leaves the last checkpoint", async (t) => {
  const [launcher] = launchers;
  if (launcher === undefined) return t.skip(absent);
  const probe = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
  if (probe.status !== 0) return t.skip("no file systems can be mounted here");
  const file = await writeSmallRun(dir, "full", { ...single, epochs: 400, freezeEpochs: -1 });
  const [disk, copy] = [path.join(dir, "disk"), path.join(dir, "copy")];
  const set = ["--set", "training.checkpointEverySteps=1"];
  const command = trainCommand({ launcher, size: 2 }, ["s4", file, "--out", `${disk}/run`, ...set]);
  // A checkpoint has 12 MB; a second one does not fit beside it.
  const script = `mkdir ${disk} && mount -t tmpfs -o size=18m none ${disk} && ${command.join(" ")}
    code=$?; mkdir ${copy}; cp ${disk}/run/last.safetensors ${copy}; exit $code`;
  const { status, stdout, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script], {
    encoding: "utf8",
    env: { ...process.env, ...env, ...launcher.env },
  });
  const output = stdout + stderr;
  assert.notEqual(status, 0, output);
  const [message, ...others] = messages(output);
  assert.match(message ?? output, /^avseg: .*(no space|disk is full|ENOSPC)/i);
  assert.deepEqual(others, []);
  await loadCheckpoint(path.join(copy, "last.safetensors"));
});

test("without an MPI library, or without MPI, the message says how to get it", async () => {
  const message = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const { code, output } = await startTraining(undefined, ["s4", path.join(dir, "none.yaml")], env).ended;
    assert.equal(code, 1);
    return output;
  };
  assert.equal(
    await message({ OMPI_COMM_WORLD_SIZE: "2", AVSEG_MPI_LIBRARY: "/absent/libmpi.so" }),
    "avseg: mpirun started 2 processes, but no library of Open MPI was found; tried /absent/libmpi.so\n" +
      "hint: Install it, e.g. with apt-get install openmpi-bin, or set AVSEG_MPI_LIBRARY to the path of its library (libmpi.so).\n",
  );
  assert.match(
    await message({ SLURM_STEP_NUM_TASKS: "4" }),
    /^avseg: srun started 4 processes, but without MPI, .*\nhint: Start them with srun --mpi=pmix/,
  );
});

test("launchers are known by their variables", () => {
  assert.equal(launchOf({}), undefined);
  assert.equal(launchOf({ OMPI_COMM_WORLD_SIZE: "1" }), undefined);
  const open = launchOf({ OMPI_COMM_WORLD_SIZE: "4", OMPI_COMM_WORLD_LOCAL_SIZE: "2" });
  assert.deepEqual(open, { command: "mpirun", size: 4, localSize: 2, family: "Open MPI" });
  const hydra = launchOf({ PMI_SIZE: "3", PMI_RANK: "0", MPI_LOCALNRANKS: "3" });
  assert.deepEqual(hydra, { command: "mpirun", size: 3, localSize: 3, family: "MPICH" });
  const slurm = { SLURM_STEP_NUM_TASKS: "8", SLURM_STEP_TASKS_PER_NODE: "4(x2)" };
  assert.equal(launchOf({ ...slurm, PMIX_RANK: "0" })?.family, "Open MPI");
  assert.equal(launchOf({ ...slurm, PMI_SIZE: "8" })?.family, "MPICH");
  assert.deepEqual(launchOf(slurm), { command: "srun", size: 8, localSize: 4, family: undefined });
});

test("a library is known by its globals", () => {
  assert.equal(abiOf(() => undefined).family, "MPICH");
  assert.equal(abiOf((name) => BigInt(name.length)).family, "Open MPI");
  assert.throws(() => abiOf((name) => (name === "ompi_mpi_double" ? undefined : 1n)), /no ompi_mpi_double/);
});

test("two hosts: network namespaces with addresses of their own", async (t) => {
  const launcher = launchers.find(({ family }) => family === "Open MPI");
  if (launcher === undefined) return t.skip(absent);
  const hosts = openTwoHosts(t, { launcher, folder: dir });
  if (hosts === undefined) return t.skip("no network namespaces can be made here");
  const { file, folder: one } = await runOfOne();
  const two = path.join(dir, "hosts");
  const before = hosts.receivedBytes();
  await train({ launcher: hosts.launcher, size: 2 }, ["s4", file, "--out", two]);
  const megabytes = (hosts.receivedBytes() - before) / 1e6;
  t.diagnostic(`${megabytes.toFixed(0)} MB crossed to the second host`);
  assert.ok(megabytes > 20 * 7, "gradients crossed the network"); // 20 steps, a million numbers of 8 bytes
  assert.ok((await weightDifference(one, two)) <= 1e-5);
  assert.deepEqual(
    await readFile(path.join(one, "last.safetensors")),
    await readFile(path.join(two, "last.safetensors")),
  );
});

// It breaks the data of all tests, and so comes last.
test("a clip that one process cannot read ends all with its message", async (t) => {
  t.after(() => rm(path.join(dir, "data"), { recursive: true, force: true }));
  const output = await failure(t, "broken", async () => {
    const frames = path.join(dir, "data", "Single-source", "s4_data", "visual_frames", "train");
    for (const name of readdirSync(frames, { recursive: true, encoding: "utf8" })) {
      if (/\.(png|jpg)$/.test(name)) await writeFile(path.join(frames, name), "no picture");
    }
  });
  if (output === undefined) return;
  const [message, ...others] = messages(output);
  assert.match(message ?? output, /^avseg: .*visual_frames/);
  assert.deepEqual(others, []);
});
