/**
 * `npm run bench`: the published S4 model (PVTv2-B5, random weights) at one and four clips per batch, and exported in
 * 8 bits beside fp32, each measurement in a process of its own; and `avseg segment` beside ffmpeg. Absolute times vary with
 * the machine; what counts are the ratios to the matrix product, to fp32 or to ffmpeg, measured in turns. Writes
 * `bench/results/<date>-<commit>.json`. `npm run bench -- --peers`: the same model in other runtimes (`peers/main.ts`).
 */
import { type ChildProcess, execFile, execFileSync, fork } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import type { Int8Measurement } from "./int8.js";
import { machine } from "./machine.js";
import type { End, Ready, Round } from "./measure.js";
import { root, today, writeResults } from "./results-file.js";
import { median } from "./samples.js";
import type { VideoMeasurement } from "./video.js";

/** Nominal work of one clip's forward pass, in the plain published form. */
const forwardGflopPerClip = 163;

const script = (name: string): string => path.join(import.meta.dirname, name);

/** A measuring process; see `measure.ts`. */
class Measuring {
  readonly #process: ChildProcess;

  constructor(kind: Kind, clips: number) {
    this.#process = fork(script("measure.js"), [kind, String(clips)]);
  }

  ready = (): Promise<Ready> => this.#ask("ready");
  round = (): Promise<Round> => this.#ask("round");
  end = (): Promise<End> => this.#ask("end");

  #ask<T>(question: string): Promise<T> {
    return new Promise((resolve, reject) => {
      const failed = (code: number | null): void => reject(new Error(`a measuring process ended (${code})`));
      this.#process.once("exit", failed);
      this.#process.once("message", (answer: T) => {
        this.#process.off("exit", failed);
        resolve(answer);
      });
      this.#process.send(question);
    });
  }
}

/** All that a process measured. */
interface Measured extends Ready, End {
  readonly rounds: readonly Round[];
}

type Kind = "forward" | "step";

/** Rounds of each kind in turns, so that whatever else the machine does meets all of them. */
async function inTurns<K extends Kind>(
  kinds: readonly K[],
  clips: number,
  count: number,
): Promise<Record<K, Measured>> {
  process.stderr.write(`measuring ${kinds.join(" and ")}, ${clips} ${clips === 1 ? "clip" : "clips"}: `);
  const started: { kind: K; measuring: Measuring; ready: Ready; rounds: Round[] }[] = [];
  for (const kind of kinds) {
    const measuring = new Measuring(kind, clips); // after the last one is ready: that is measured too
    started.push({ kind, measuring, ready: await measuring.ready(), rounds: [] });
  }
  for (let i = 0; i < count; i++) {
    for (const { measuring, rounds } of started) rounds.push(await measuring.round());
    process.stderr.write(`${i + 1} `);
  }
  process.stderr.write(`of ${count}\n`);
  const measured: Partial<Record<Kind, Measured>> = {};
  for (const { kind, measuring, ready, rounds } of started) {
    measured[kind] = { ...ready, rounds, ...(await measuring.end()) };
  }
  return measured as Record<K, Measured>;
}

const secondsOf = ({ rounds }: Measured): number[] => rounds.map(({ seconds }) => seconds);
const ratesOf = ({ rounds }: Measured): number[] => rounds.flatMap((round) => round.matmulGflops);

/** The metrics of a batch size. */
function metricsOf({ forward, step }: Record<Kind, Measured>, clips: number): Record<string, number> {
  const [forwardSeconds, stepSeconds] = [median(secondsOf(forward)), median(secondsOf(step))];
  const createSeconds = ({ compileSeconds, firstSeconds }: Measured, seconds: number): number =>
    compileSeconds + Math.max(0, firstSeconds - seconds);
  return {
    forwardSeconds,
    stepSeconds,
    peakResidentBytes: Math.max(forward.peakResidentBytes, step.peakResidentBytes),
    createSeconds: Math.max(createSeconds(forward, forwardSeconds), createSeconds(step, stepSeconds)),
    forwardPeakResidentBytes: forward.peakResidentBytes,
    stepPeakResidentBytes: step.peakResidentBytes,
    forwardFastestSeconds: Math.min(...secondsOf(forward)),
    stepFastestSeconds: Math.min(...secondsOf(step)),
    // By the rate measured between the very runs that the ratio is about.
    forwardToMatmul: (forwardGflopPerClip * clips) / forwardSeconds / median(ratesOf(forward)),
    stepToForward: stepSeconds / forwardSeconds,
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], { cwd: root, encoding: "utf8" }).trim();
  } catch {
    return "unknown";
  }
}

if (process.argv[2] === "--peers") {
  const { benchPeers } = await import("./peers/main.js");
  await benchPeers(process.argv.slice(3));
  process.exit();
}
const one = await inTurns(["forward", "step"], 1, 9);
// Apart: two processes of this size at once slow down each other's first use of memory.
const four = { ...(await inTurns(["forward"], 4, 5)), ...(await inTurns(["step"], 4, 5)) };
const batches = { 1: metricsOf(one, 1), 4: metricsOf(four, 4) };
process.stderr.write("measuring int8 beside fp32 ...\n");
const { stdout } = await promisify(execFile)(process.execPath, [script("int8.js"), "9"]);
const int8: Int8Measurement = JSON.parse(stdout);
process.stderr.write("measuring avseg segment beside ffmpeg ...\n");
const segmenting = await promisify(execFile)(process.execPath, [script("video.js"), "3"]);
const video: VideoMeasurement = JSON.parse(segmenting.stdout);
const matmulGflops = median([one.forward, one.step, four.forward, four.step].flatMap(ratesOf));

const [date, command] = [today(), "npm run bench"];
const results = { date, command, machine: machine(), matmulGflops, batches, int8, video };
const file = writeResults(commit(), results);

const digits = (x: number | undefined, n = 2) => (x ?? Number.NaN).toFixed(n).padStart(9);
process.stdout.write(`${results.machine.processor} (${results.machine.instructionSet})\n`);
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
    `${(100 * int8.flippedFraction).toFixed(1)}% of pixels flipped at the median logit\n`,
);
process.stdout.write(
  `avseg segment, two minutes of 448x448: ${video.overlayToEncode.toFixed(2)} of ffmpeg's encoding with an overlay, ` +
    `${video.masksToDecode.toFixed(2)} of its decoding without\n`,
);
process.stdout.write(`written to ${path.relative(process.cwd(), file)}\n`);
