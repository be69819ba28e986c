/**
 * `npm run bench`: the published S4 model (PVTv2-B5, random weights) at one and four clips per batch, and exported in
 * 8 bits beside fp32, each measurement in a process of its own. Absolute times vary with the machine; what counts are
 * the ratios to the matrix product, or to fp32, measured in the same processes. Writes
 * `bench/results/<date>-<commit>.json`.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Int8Measurement } from "./int8.js";
import type { Measurement } from "./measure.js";

/** Nominal work of one clip's forward pass, in the plain published form. */
const forwardGflopPerClip = 163;

const root = path.resolve(import.meta.dirname, "..", "..");

async function run<T>(script: string, ...args: readonly (string | number)[]): Promise<T> {
  const command = [path.join(import.meta.dirname, script), ...args.map(String)];
  const { stdout } = await promisify(execFile)(process.execPath, command, { maxBuffer: 1 << 20 });
  return JSON.parse(stdout);
}

async function measure(kind: "forward" | "step", clips: number): Promise<Measurement> {
  process.stderr.write(`measuring ${kind}, ${clips} ${clips === 1 ? "clip" : "clips"} ...\n`);
  return run<Measurement>("measure.js", kind, clips, clips === 1 ? 9 : 5);
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

const batches: Record<string, Record<string, number>> = {};
const rates: number[] = [];
for (const clips of [1, 4]) {
  const forward = await measure("forward", clips);
  const step = await measure("step", clips);
  rates.push(forward.matmulGflops, step.matmulGflops);
  batches[clips] = {
    forwardSeconds: forward.seconds,
    stepSeconds: step.seconds,
    peakResidentBytes: Math.max(forward.peakResidentBytes, step.peakResidentBytes),
    createSeconds: Math.max(forward.createSeconds, step.createSeconds),
    forwardPeakResidentBytes: forward.peakResidentBytes,
    stepPeakResidentBytes: step.peakResidentBytes,
    forwardFastestSeconds: forward.fastestSeconds,
    stepFastestSeconds: step.fastestSeconds,
    // By the rate measured between the very runs that the ratio is about.
    forwardToMatmul: (forwardGflopPerClip * clips) / forward.seconds / forward.matmulGflops,
    stepToForward: step.seconds / forward.seconds,
  };
}
process.stderr.write("measuring int8 beside fp32 ...\n");
const int8 = await run<Int8Measurement>("int8.js", 9);
const matmulGflops = rates.reduce((a, b) => a + b, 0) / rates.length;

const date = new Date().toISOString().slice(0, 10);
const file = path.join(root, "bench", "results", `${date}-${commit()}.json`);
mkdirSync(path.dirname(file), { recursive: true });
const machine = {
  processor: os.cpus()[0]?.model.trim() ?? "unknown",
  threads: os.availableParallelism(),
  memoryBytes: os.totalmem(),
  node: process.versions.node,
};
const results = { date, command: "npm run bench", machine, matmulGflops, batches, int8 };
writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);

const digits = (x: number | undefined, n = 2) => (x ?? Number.NaN).toFixed(n).padStart(9);
process.stdout.write(`matrix product 1024^3: ${matmulGflops.toFixed(0)} GFLOP/s\n`);
process.stdout.write("clips  forward s  of matmul     step s  step/fwd  peak GB  create s\n");
for (const [clips, b] of Object.entries(batches)) {
  process.stdout.write(
    `${clips.padStart(5)} ${digits(b.forwardSeconds)} ${digits(b.forwardToMatmul)}  ${digits(b.stepSeconds)} ` +
      `${digits(b.stepToForward)} ${digits((b.peakResidentBytes ?? 0) / 1e9)} ${digits(b.createSeconds)}\n`,
  );
}
process.stdout.write(
  `int8 over fp32: ${int8.timeRatio.toFixed(2)} of the time, ${int8.cpuRatio.toFixed(2)} on the processor, ` +
    `${(100 * int8.flippedShare).toFixed(1)}% of pixels flipped at the median logit\n`,
);
process.stdout.write(`written to ${path.relative(process.cwd(), file)}\n`);
