/**
 * The same model in avseg and in other runtimes, one process each, in turns, with a rest before each run so that no
 * run is slowed by threads of the one before that still look out for work. All give the same logits, or the race fails.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { availableParallelism, loadavg } from "node:os";
import path from "node:path";
import readline from "node:readline";
import { setTimeout } from "node:timers/promises";
import { promisify } from "node:util";
import { exportModel } from "../../src/export/export-model.js";
import { buildAvsModel } from "../../src/models/avs-model.js";
import { publishedModel } from "../../src/models/model-config.js";
import { pvtV2Config } from "../../src/models/pvt-v2.js";
import type { StateDict, Tensor } from "../../src/tensor.js";
import { writeSafetensors } from "../../src/weights/node/safetensors-file.js";
import { relativeError, seededParameter } from "../../test/support.js";
import { root } from "../results-file.js";
import { frameCount, imageSize, median, noise, randomBytes } from "../samples.js";

/** Models that the race knows, with the names that `tools/reference` gives their encoders. */
export const peerModels = { "pvt-v2-b5": "b5", "pvt-v2-b0": "b0" } as const;
/** One of them. */
export type PeerModel = keyof typeof peerModels;

/** Those that compete, in the order of the tables. */
export const contestants = {
  avseg: "avseg",
  "avseg-cached": "avseg, opened before",
  "avseg-int8": "avseg, int8",
  torch: "PyTorch, eager",
  "torch-compile": "PyTorch, compiled before",
  onnxruntime: "ONNX Runtime",
  "onnxruntime-int8": "ONNX Runtime, int8",
  openvino: "OpenVINO",
  "openvino-int8": "OpenVINO, int8",
} as const;
/** One of them. */
export type Contestant = keyof typeof contestants;

/** How one did. */
export interface PeerResult {
  /** Median and fastest run of one clip. */
  readonly seconds: number;
  readonly fastestSeconds: number;
  /** From the start of the process to the first logits. */
  readonly openSeconds: number;
  readonly peakResidentBytes: number;
  /** Of another package; absent for avseg. */
  readonly version?: string;
  /** Largest difference from the first contestant's logits, relative to the largest of these. */
  readonly difference: number;
  /** Logits on the other side of the first contestant's median: random weights have no better threshold. */
  readonly flippedFraction: number;
}

/** Contestants that did not run, with the reason. */
export type Skipped = Readonly<Partial<Record<Contestant, string>>>;

/** How all did. */
export interface Race {
  readonly rounds: number;
  readonly threads: number;
  readonly load: readonly number[];
  readonly results: Readonly<Partial<Record<Contestant, PeerResult>>>;
  readonly skipped: Skipped;
}

/** Options of `race`. */
export interface RaceOptions {
  readonly model: PeerModel;
  /** The Python that has the other runtimes. */
  readonly python: string;
  /** Keeps the files of a model, which are made once. */
  readonly folder: string;
  readonly rounds: number;
  /** Default: all. */
  readonly names?: readonly Contestant[] | undefined;
  /** Longest time from the start of a process to its first logits. Others are left out, apart from avseg. */
  readonly limitSeconds: number;
  /** Contestants that `prepareRace` has left out, with the reason. */
  readonly skipped: Skipped;
  /** Called after each round, so that a race that is interrupted keeps the rounds that are over. */
  readonly onRound?: ((soFar: Race) => void) | undefined;
}

const script = path.join(root, "bench", "peers", "peer.py");
const restMilliseconds = 1500;
/** Largest relative difference of logits that float32 may make. */
const tolerance = 1e-3;

const isOwn = (name: Contestant): boolean => name.startsWith("avseg");

type Versions = Readonly<
  Partial<Record<Contestant, { readonly version?: string; readonly missing?: string }>>
>;

async function versionsOf(python: string): Promise<Versions | string> {
  try {
    const versions: Versions = JSON.parse((await promisify(execFile)(python, [script, "versions"])).stdout);
    return versions;
  } catch {
    return "no Python with NumPy was found";
  }
}

/** What both `prepareRace` and `race` need. */
type Preparation = Omit<RaceOptions, "rounds" | "skipped">;

/**
 * Writes weights, inputs and exports of a model, where they are absent, and fills the caches of contestants that have one.
 * Returns those for which that took too long.
 */
export async function prepareRace(options: Preparation): Promise<Skipped> {
  const { model, python, folder } = options;
  await mkdir(folder, { recursive: true });
  const file = (name: string): string => path.join(folder, name);
  if (!existsSync(file("weights.safetensors"))) {
    const { specs } = buildAvsModel(publishedModel({ task: "s4", visual: pvtV2Config(model) }));
    const weights: StateDict = new Map(specs.map(({ key, shape }) => [key, seededParameter(key, shape)]));
    const frames = randomBytes([frameCount, imageSize, imageSize, 3]);
    const inputs: StateDict = new Map<string, Tensor>([
      ["frames", frames],
      ["logMel", noise([frameCount, 1, 96, 64], 3)],
    ]);
    await writeSafetensors(file("inputs.safetensors"), inputs);
    await writeSafetensors(file("weights.safetensors"), weights);
  }
  if (!existsSync(file("avseg-int8.onnx"))) {
    await exportModel({
      checkpoint: file("weights.safetensors"),
      out: file("avseg-int8.onnx"),
      precision: "int8",
    });
  }
  const takesPart = (name: Contestant): boolean => options.names?.includes(name) !== false;
  // Always: what an earlier version of avseg has put into the cache does not fit this one.
  if (takesPart("avseg-cached")) await warm("avseg-cached", options);
  const versions = await versionsOf(python);
  if (typeof versions === "string") return {};
  if (!versions.onnxruntime?.missing && !existsSync(file("model.onnx"))) {
    await promisify(execFile)(python, [script, "prepare", folder, peerModels[model]]);
  }
  const compiles = takesPart("torch-compile") && !versions["torch-compile"]?.missing;
  if (!compiles || existsSync(file("torch-compile.f32"))) return {};
  return (await warm("torch-compile", options)) ? {} : { "torch-compile": tooLate(options) };
}

const tooLate = ({ limitSeconds }: Preparation): string => `it gave no mask within ${limitSeconds} s`;

/** A contestant's process. */
class Runner {
  readonly name: Contestant;
  readonly seconds: number[] = [];
  openSeconds = 0;
  readonly #process: ChildProcess;
  readonly #lines: AsyncIterator<string>;

  constructor(name: Contestant, { model, python, folder }: Preparation, threads: number) {
    const own = [path.join(import.meta.dirname, "avseg.js"), name, folder, String(threads)];
    const other = [script, name, folder, peerModels[model], String(threads)];
    this.name = name;
    this.#process = spawn(isOwn(name) ? process.execPath : python, isOwn(name) ? own : other, {
      stdio: ["pipe", "pipe", "inherit"],
      env: {
        ...process.env,
        AVSEG_CACHE: path.join(folder, "cache"),
        TORCHINDUCTOR_CACHE_DIR: path.join(folder, "inductor"),
      },
    });
    if (!this.#process.stdout) throw new Error(`${name}: no output`);
    this.#lines = readline.createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** The next line of the process. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error(`${this.name}: its process ended`);
    return value;
  }

  /** Whether the first logits come within a time. */
  async opens(limitSeconds: number): Promise<boolean> {
    const timer = new AbortController();
    const late = setTimeout(1000 * limitSeconds, false, { signal: timer.signal }).catch(() => false);
    try {
      return await Promise.race([this.line().then(() => true), late]);
    } finally {
      timer.abort();
    }
  }

  async run(): Promise<void> {
    this.#process.stdin?.write("\n");
    this.seconds.push(Number(await this.line()));
  }

  /** Peak of resident memory up to now, as Linux counts it. */
  peakResidentBytes(): number {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return 1024 * Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1]);
  }

  async end(): Promise<void> {
    const over = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.stdin?.end();
    await over;
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }
}

/** Opens a contestant once, so that its cache is filled. False where that takes too long. */
async function warm(name: Contestant, options: Preparation): Promise<boolean> {
  process.stderr.write(`${name}: filling its cache\n`);
  const runner = new Runner(name, options, availableParallelism());
  try {
    const isOpen = await runner.opens(options.limitSeconds);
    if (isOpen) await runner.end();
    return isOpen;
  } finally {
    runner.kill();
  }
}

/** Runs the race. Throws when a contestant fails, or gives other logits than the first one. */
export async function race(options: RaceOptions): Promise<Race> {
  const { python, folder, rounds, limitSeconds } = options;
  const names = options.names ?? (Object.keys(contestants) as Contestant[]);
  const threads = availableParallelism();
  const versions = await versionsOf(python);
  const skipped: Partial<Record<Contestant, string>> = { ...options.skipped };
  for (const name of Object.keys(contestants) as Contestant[]) {
    if (!names.includes(name)) skipped[name] = "left out with --only";
  }
  const runners: Runner[] = [];
  try {
    for (const name of names) {
      const found = isOwn(name) || typeof versions === "string" ? undefined : versions[name];
      if (!isOwn(name) && typeof versions === "string") skipped[name] = versions;
      else if (found?.missing) skipped[name] = `${found.missing} is not installed`;
      if (skipped[name]) continue;
      const started = performance.now();
      const runner = new Runner(name, options, threads);
      try {
        if (isOwn(name)) await runner.line();
        else if (!(await runner.opens(limitSeconds))) skipped[name] = tooLate(options);
      } catch (error) {
        if (isOwn(name)) throw error;
        skipped[name] = "it did not open the model";
      }
      if (skipped[name]) {
        runner.kill();
        continue;
      }
      runners.push(runner);
      runner.openSeconds = (performance.now() - started) / 1000;
      process.stderr.write(`${name}: first logits after ${runner.openSeconds.toFixed(1)} s\n`);
      await setTimeout(restMilliseconds);
    }
    const soFar = (round: number): Race => {
      const results: Partial<Record<Contestant, PeerResult>> = {};
      const [first] = runners;
      for (const runner of runners) {
        const version = typeof versions === "string" ? undefined : versions[runner.name]?.version;
        const result = resultOf(
          runner,
          logitsOf(folder, (first ?? runner).name),
          logitsOf(folder, runner.name),
        );
        results[runner.name] = { ...result, ...(version === undefined ? {} : { version }) };
      }
      return { rounds: round, threads, load: loadavg(), results, skipped };
    };
    for (let round = 1; round <= rounds; round++) {
      for (const runner of runners) {
        await setTimeout(restMilliseconds);
        await runner.run();
      }
      process.stderr.write(`round ${round} of ${rounds}\n`);
      options.onRound?.(soFar(round));
    }
    const result = soFar(rounds);
    for (const runner of runners) await runner.end();
    return result;
  } finally {
    for (const runner of runners) runner.kill();
  }
}

function logitsOf(folder: string, name: Contestant): Float32Array {
  const bytes = readFileSync(path.join(folder, `${name}.f32`));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

function resultOf(runner: Runner, expected: Float32Array, found: Float32Array): PeerResult {
  const difference = relativeError(found, expected);
  if (!runner.name.endsWith("int8") && !(difference <= tolerance)) {
    throw new Error(
      `${runner.name}: logits differ by ${difference} of the largest, expected at most ${tolerance}`,
    );
  }
  const middle = median(expected);
  const flipped = expected.filter((x, i) => x > middle !== (found[i] ?? 0) > middle);
  return {
    seconds: median(runner.seconds),
    fastestSeconds: Math.min(...runner.seconds),
    openSeconds: runner.openSeconds,
    peakResidentBytes: runner.peakResidentBytes(),
    difference,
    flippedFraction: flipped.length / expected.length,
  };
}
