/** `avseg train` on one or several processes, for tests and scripts that compare and kill them. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import type { Task } from "../src/models/model-config.js";
import { asF32 } from "../src/tensor.js";
import { loadCheckpoint } from "../src/training/checkpoint.js";
import { readLog } from "../src/training/run-log.js";
import type { MpiLauncher } from "./mpi.js";
import { relativeError, root } from "./support.js";

/** The built command line. */
export const main = path.join(root, "dist", "src", "cli", "main.js");

/** What a small run trains. */
export interface SmallRun {
  readonly task: Task;
  /** YAML of `model`, beside the encoders. Default: a narrow decoder. */
  readonly model?: string | undefined;
  /** Seconds of a clip. Default: 2. */
  readonly frameCount?: number | undefined;
  /** Entries of `training`. */
  readonly training?: string | undefined;
  /** Of 15 clips. Default: 4. */
  readonly epochs?: number | undefined;
  /** Default: 3, so that three processes have one clip each, and two have one and two. */
  readonly batchSize?: number | undefined;
  /** Epoch from which the visual encoder trains. Default: never. */
  readonly freezeEpochs?: number | undefined;
}

/** Writes SoundShapes and the configuration of a small run to `folder`; returns the configuration's file. */
export async function writeSmallRun(folder: string, name: string, run: SmallRun): Promise<string> {
  const {
    task,
    batchSize = 3,
    frameCount = 2,
    model = "messenger: { frames: 2 }\n  decoder: { convDim: 8, heads: 4 }",
    training = "",
    epochs = 4,
    freezeEpochs = -1,
  } = run;
  const file = path.join(folder, `${name}.yaml`);
  const data = path.join(folder, "data");
  const yaml = `
task: ${task}
model:
  visual:
    { kind: pvt-v2, dims: [8, 8, 20, 32], depths: [1, 1, 1, 1], heads: [1, 2, 5, 8], mlpRatios: [2, 2, 2, 2],
      reductions: [8, 4, 2, 1], dropPath: 0.2, freezeEpochs: ${freezeEpochs} }
  audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 }
  ${model}
data: { root: ${data}, imageSize: 32, frameCount: ${frameCount}, batchSize: ${batchSize}, workers: 0 }
runtime: { threads: 1 }
training:
  { epochs: ${epochs}, evaluateFrom: ${epochs - 1}, optimizer: { learningRate: 1.0e-3 }, ${training} }
`;
  await writeFile(file, yaml);
  const counts = { train: 15, val: 4, test: 1 };
  await writeSoundShapes({ task, root: data, counts, imageSize: 32 });
  return file;
}

/** How a command ended. */
export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** A command that runs. */
export interface Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
}

/** Processes of one launcher. */
export interface RanksOf {
  readonly launcher: MpiLauncher;
  readonly size: number;
}

/** The command that starts `avseg train` with these arguments, on one process without `ranks`. */
export function trainCommand(ranks: RanksOf | undefined, args: readonly string[]): string[] {
  const program = [process.execPath, main, "train", ...args];
  return ranks
    ? [ranks.launcher.command, ...ranks.launcher.args, "-n", String(ranks.size), ...program]
    : program;
}

/** Starts `avseg train`. */
export function startTraining(
  ranks: RanksOf | undefined,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Running {
  const [command = "", ...rest] = trainCommand(ranks, args);
  const child = spawn(command, rest, {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...ranks?.launcher.env, ...env },
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

/** Largest difference of any weight of two runs, relative to the largest of its tensor. */
export async function weightDifference(a: string, b: string): Promise<number> {
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

/** The losses of all steps of a run. */
export async function lossCurve(folder: string): Promise<number[]> {
  const lines = await readLog(path.join(folder, "metrics.jsonl"));
  return lines.flatMap((line) => (line.kind === "step" ? [Number(line.loss)] : []));
}

/** Ids of the processes that train into a folder. Needs `/proc`. */
export function processesOf(folder: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    try {
      const line = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
      return line[0] === process.execPath && line.includes(folder) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** Waits until no process trains into a folder. */
export async function untilGone(folder: string): Promise<void> {
  for (let i = 0; i < 600 && processesOf(folder).length > 0; i++) await sleep(50);
  assert.deepEqual(processesOf(folder), [], "processes are left");
}

/** Waits until the checkpoint was renewed so many times, or the run is over. */
export async function renewals(folder: string, running: Running, count: number): Promise<void> {
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
