/** Training on several processes over real MPI libraries, against one process. */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after, type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { launchOf } from "../src/distributed/launcher.js";
import { abiOf } from "../src/distributed/mpi-abi.js";
import { hashText, Random } from "../src/random.js";
import { asF32 } from "../src/tensor.js";
import { loadCheckpoint } from "../src/training/checkpoint.js";
import { readLog } from "../src/training/run-log.js";
import { type MpiLauncher, mpiLaunchers } from "./mpi.js";
import { relativeError, root } from "./support.js";
import { tempDir } from "./temp-dir.js";

const seed = Number(process.env.AVSEG_RESUME_SEED ?? Math.floor(Math.random() * 2 ** 32));
const main = path.join(root, "dist", "src", "cli", "main.js");
const dir = await tempDir({ after });
const data = path.join(dir, "data");
const launchers = mpiLaunchers();
const absent = "MPI is not installed";

const visual = `
    { kind: pvt-v2, dims: [8, 8, 20, 32], depths: [1, 1, 1, 1], heads: [1, 2, 5, 8], mlpRatios: [2, 2, 2, 2],
      reductions: [8, 4, 2, 1], dropPath: 0.2, freezeEpochs: 1 }`;

interface Settings {
  readonly task: string;
  readonly model?: string | undefined;
  readonly training?: string | undefined;
  readonly epochs?: number | undefined;
}

/** Writes a configuration of 20 steps; returns its file. */
async function configured(
  name: string,
  { task, model = "decoder: { convDim: 8, heads: 4 }", training = "", epochs = 4 }: Settings,
): Promise<string> {
  const file = path.join(dir, `${name}.yaml`);
  const yaml = `
task: ${task}
model:
  visual: ${visual}
  audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 }
  ${model}
data: { root: ${data}, imageSize: 32, batchSize: 4, workers: 1 }
runtime: { threads: 1 }
training:
  { epochs: ${epochs}, evaluateFrom: ${epochs - 1}, optimizer: { learningRate: 1.0e-3 }, checkpointEverySteps: 2, ${training} }
`;
  await writeFile(file, yaml);
  await writeSoundShapes({
    task: taskOf(task),
    root: data,
    counts: { train: 18, val: 9, test: 1 },
    imageSize: 32,
  });
  return file;
}

function taskOf(task: string): "s4" | "ms3" | "avss" {
  return task === "ms3" || task === "avss" ? task : "s4";
}

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Starts training on some processes; without a launcher on this one alone. */
function start(launcher: MpiLauncher | undefined, size: number, args: readonly string[], env = {}): Running {
  const program = [process.execPath, main, "train", ...args];
  const [command = "", ...rest] = launcher
    ? [launcher.command, ...launcher.args, "-n", String(size), ...program]
    : program;
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, AVSEG_CACHE: path.join(dir, "cache"), ...launcher?.env, ...env },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      output += String(chunk);
    });
  }
  const ended = new Promise<Ended>((resolve) => {
    child.once("close", (code) => resolve({ code, output }));
  });
  return { child, ended };
}

async function train(
  launcher: MpiLauncher | undefined,
  size: number,
  args: readonly string[],
): Promise<string> {
  const { code, output } = await start(launcher, size, args).ended;
  assert.equal(code, 0, output);
  return output;
}

/** Largest difference of any weight, relative to the largest of its tensor. */
async function difference(a: string, b: string): Promise<number> {
  const [one, other] = await Promise.all(
    [a, b].map((folder) => loadCheckpoint(path.join(folder, "last.safetensors"))),
  );
  assert.ok(one && other);
  assert.deepEqual([...one.parameters.keys()], [...other.parameters.keys()]);
  let worst = 0;
  for (const [key, tensor] of one.parameters) {
    const found = asF32(other.parameters.get(key) ?? assert.fail(key), key);
    worst = Math.max(worst, relativeError(found.data, asF32(tensor, key).data));
  }
  return worst;
}

async function losses(folder: string): Promise<number[]> {
  const lines = await readLog(path.join(folder, "metrics.jsonl"));
  return lines.flatMap((line) => (line.kind === "step" ? [Number(line.loss)] : []));
}

const systems = [
  { name: "s4: several processes end with the weights of one", task: "s4", sizes: [2, 3] },
  {
    name: "ms3, averaged and clipped: several processes end with the weights of one",
    task: "ms3",
    training: "ema: 0.9, clipNorm: 0.05, accumulate: 2",
    sizes: [2],
  },
  { name: "avss: several processes end with the weights of one", task: "avss", sizes: [3] },
  {
    name: "batch statistics: several processes end with the weights of one",
    task: "ms3",
    model: "kind: tpavi\n  tpavi: { channels: 8 }",
    epochs: 1,
    sizes: [2],
  },
];
for (const { name, sizes, ...settings } of systems) {
  test(name, async (t) => {
    const [first, second = first] = launchers;
    if (first === undefined || second === undefined) return t.skip(absent);
    const key = name.replaceAll(/\W+/g, "-");
    const file = await configured(key, settings);
    const out = (n: number) => path.join(dir, `${key}-${n}`);
    const args = (n: number) => [settings.task, file, "--out", out(n)];
    await train(undefined, 1, args(1));
    for (const size of sizes) {
      const launcher = size === 2 ? first : second;
      const output = await train(launcher, size, args(size));
      assert.match(output, new RegExp(`${size} processes, 1 thread each`));
      assert.equal(output.match(/^done in/gm)?.length, 1, "only the first process prints");
      const worst = await difference(out(1), out(size));
      const curve = relativeError(await losses(out(size)), await losses(out(1)));
      t.diagnostic(`${launcher.family}, ${size} processes: weights differ by ${worst}, losses by ${curve}`);
      assert.ok(worst <= 1e-5, `${size} processes: weights differ by ${worst}`);
      assert.ok(curve <= 1e-5, `${size} processes: losses differ by ${curve}`);
    }
    const [step] = await readLog(path.join(out(sizes[0] ?? 2), "metrics.jsonl"));
    if (settings.model === undefined)
      assert.ok(Number(step?.reduceSeconds) > 0, "the cost of the sum is logged");
  });
}

/** Ids of the processes that train into a folder. */
function processesOf(folder: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return line[0] === process.execPath && line.includes(folder) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

async function untilGone(folder: string): Promise<void> {
  for (let i = 0; i < 600 && processesOf(folder).length > 0; i++) await sleep(50);
  assert.deepEqual(processesOf(folder), [], "processes are left");
}

/** Waits until the checkpoint was renewed so many times, or the run is over. */
async function renewals(folder: string, running: Running, count: number): Promise<void> {
  let over = false;
  running.ended.then(() => {
    over = true;
  });
  const inode = async () => (await stat(path.join(folder, "last.safetensors")).catch(() => undefined))?.ino;
  let last = await inode();
  for (let renewed = 0; !over && renewed < count; await sleep(5)) {
    const now = await inode();
    if (now !== last) renewed++;
    last = now;
  }
}

const needsProc = existsSync("/proc/self/cmdline") ? undefined : "/proc absent";

test("killed at random moments and resumed with other numbers of processes, the run is the same", async (t) => {
  const [launcher] = launchers;
  if (launcher === undefined) return t.skip(absent);
  if (needsProc) return t.skip(needsProc);
  const file = await configured("kills", { task: "s4" });
  const [whole, parts] = [path.join(dir, "whole"), path.join(dir, "parts")];
  await train(undefined, 1, ["s4", file, "--out", whole]);
  const random = new Random(seed, hashText("ranks"));
  const moments: string[] = [];
  for (const size of [2, 3, 1]) {
    const running = start(launcher, size, ["s4", file, "--out", parts, "--resume"]);
    await renewals(parts, running, 1 + random.integer(2));
    await sleep(random.uniform(0, 200));
    const victim = random.pick(processesOf(parts).length > 0 ? processesOf(parts) : [0]);
    if (victim > 0) process.kill(victim, "SIGKILL");
    await running.ended;
    await untilGone(parts);
    moments.push(`${victim > 0 ? "killed" : "ended"} with ${size}`);
  }
  const history = `AVSEG_RESUME_SEED=${seed}: ${moments.join(", ")}`;
  t.diagnostic(history);
  await train(launcher, 2, ["s4", file, "--out", parts, "--resume"]);
  assert.ok((await difference(whole, parts)) <= 1e-5, history);
  assert.ok(relativeError(await losses(parts), await losses(whole)) <= 1e-4, history);
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
  const file = await configured("failure", { task: "s4", epochs: 400 });
  const folder = path.join(dir, name);
  const running = start(launcher, 2, ["s4", file, "--out", folder]);
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
  const output = await failure(t, "killed", async (_, folder) => {
    process.kill(processesOf(folder).at(-1) ?? assert.fail("no process"), "SIGKILL");
  });
  if (output === undefined) return;
  assert.deepEqual(messages(output), []);
  assert.match(output, /signal 9/);
});

test("a clip that one process cannot read ends all with its message", async (t) => {
  t.after(() => rm(data, { recursive: true, force: true }));
  const output = await failure(t, "broken", async () => {
    const frames = path.join(data, "Single-source", "s4_data", "visual_frames", "train");
    for (const name of readdirSync(frames, { recursive: true, encoding: "utf8" })) {
      if (/\.(png|jpg)$/.test(name)) await writeFile(path.join(frames, name), "no picture");
    }
  });
  if (output === undefined) return;
  const [message, ...others] = messages(output);
  assert.match(message ?? output, /^avseg: .*visual_frames/);
  assert.deepEqual(others, []);
});

test("a full disk ends all with one message and leaves the last checkpoint", async (t) => {
  const [launcher] = launchers;
  if (launcher === undefined) return t.skip(absent);
  const probe = spawnSync("unshare", ["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
  if (probe.status !== 0) return t.skip("no file systems can be mounted here");
  const file = await configured("full", { task: "s4" });
  const [disk, copy] = [path.join(dir, "disk"), path.join(dir, "copy")];
  // A checkpoint has 12 MB; a second one does not fit beside it.
  const command = [
    launcher.command,
    ...launcher.args,
    "-n",
    "2",
    process.execPath,
    main,
    "train",
    "s4",
    file,
  ];
  const script = `mkdir ${disk} && mount -t tmpfs -o size=18m none ${disk} && ${command.join(" ")} --out ${disk}/run
    code=$?; mkdir ${copy}; cp ${disk}/run/last.safetensors ${copy}; exit $code`;
  const { status, stdout, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script], {
    encoding: "utf8",
    env: { ...process.env, AVSEG_CACHE: path.join(dir, "cache"), ...launcher.env },
  });
  const output = stdout + stderr;
  assert.notEqual(status, 0, output);
  const [message, ...others] = messages(output);
  assert.match(message ?? output, /^avseg: .*(no space|disk is full|ENOSPC)/i);
  assert.deepEqual(others, []);
  await loadCheckpoint(path.join(copy, "last.safetensors"));
});

test("without an MPI library, or without MPI, the message says how to get it", async () => {
  const message = async (env: object): Promise<string> => {
    const { code, output } = await start(undefined, 1, ["s4", path.join(dir, "none.yaml")], env).ended;
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
  const slurm = { SLURM_STEP_NUM_TASKS: "8", SLURM_NTASKS_PER_NODE: "4" };
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
  const id = `av${process.pid % 10_000}`;
  const [a, b] = [`${id}a`, `${id}b`];
  const ip = (...args: string[]) => execFileSync("ip", args, { stdio: "pipe" });
  try {
    ip("netns", "add", a);
  } catch {
    return t.skip("no network namespaces can be made here");
  }
  t.after(() => {
    for (const name of [a, b]) spawnSync("ip", ["netns", "del", name]);
  });
  ip("netns", "add", b);
  ip("link", "add", `${id}x`, "netns", a, "type", "veth", "peer", "name", `${id}y`, "netns", b);
  for (const [name, link, address] of [
    [a, `${id}x`, "10.77.0.1/24"],
    [b, `${id}y`, "10.77.0.2/24"],
  ] as const) {
    ip("-n", name, "addr", "add", address, "dev", link);
    ip("-n", name, "link", "set", link, "up");
    ip("-n", name, "link", "set", "lo", "up");
  }
  // In place of ssh: the host is the first argument, the command the rest.
  const agent = path.join(dir, "agent.sh");
  const shell = `#!/bin/sh\nshift\nexec ip netns exec ${b} unshare --uts sh -c "hostname ${b}; $*"\n`;
  await writeFile(agent, shell);
  await chmod(agent, 0o755);
  const file = await configured("hosts", { task: "s4", epochs: 1 });
  const [one, two] = [path.join(dir, "hosts-1"), path.join(dir, "hosts-2")];
  await train(undefined, 1, ["s4", file, "--out", one]);
  const mca = [
    "--mca",
    "plm_rsh_agent",
    agent,
    "--mca",
    "btl",
    "tcp,self",
    "--mca",
    "btl_tcp_if_include",
    "10.77.0.0/24",
  ];
  const oob = ["--mca", "oob_tcp_if_include", "10.77.0.0/24"];
  const hosts = ["--host", "10.77.0.1:1,10.77.0.2:1"];
  const inside: MpiLauncher = {
    ...launcher,
    command: "ip",
    args: ["netns", "exec", a, launcher.command, ...launcher.args, ...mca, ...oob, ...hosts],
    env: { ...launcher.env, OMPI_MCA_plm_rsh_agent: agent },
  };
  const received = () =>
    Number(
      execFileSync("ip", ["netns", "exec", b, "cat", `/sys/class/net/${id}y/statistics/rx_bytes`], {
        encoding: "utf8",
      }),
    );
  const before = received();
  await train(inside, 2, ["s4", file, "--out", two]);
  const megabytes = (received() - before) / 1e6;
  t.diagnostic(`${megabytes.toFixed(0)} MB crossed to the second host`);
  assert.ok(megabytes > 5 * 7, "gradients crossed the network"); // 5 steps, a million numbers of 8 bytes
  assert.ok((await difference(one, two)) <= 1e-5);
  assert.deepEqual(
    await readFile(path.join(one, "last.safetensors")),
    await readFile(path.join(two, "last.safetensors")),
  );
});
