/**
 * The reading process: makes inputs, reads them one by one and measures each. It may write to its folder only: Node
 * refuses everything else (its permission model), and that refusal is a failure.
 */
import { mkdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { hashText, Random } from "../src/random.js";
import { type Fault, faultOf, faultOfError, readOnce, readPatiently } from "./measure.js";
import type { Job, Message, Statistics } from "./protocol.js";
import type { Reader } from "./reader.js";

/** Input `index` of a reader: a function of it and the seed. */
async function inputAt(
  reader: Reader,
  seeds: readonly Uint8Array[],
  key: readonly [seed: number, index: number],
) {
  const random = new Random(...key, hashText(reader.name));
  const [base, other] = [random.pick(seeds), random.pick(seeds)];
  return reader.mutate(base, random, other);
}

const say = (message: Message) => new Promise<void>((resolve) => process.send?.(message, () => resolve()));

/** Reads the inputs of a job. Ends after the first failure, so that the next input meets a fresh process. */
async function run(job: Job, readers: readonly Reader[]): Promise<void> {
  const { seed, folder, first, last, file, limits } = job;
  const reader = readers.find(({ name }) => name === job.reader);
  if (reader === undefined) throw new Error(`no reader ${job.reader}`);
  let statistics: Statistics = { read: 0, accepted: 0, maxMilliseconds: 0, maxMegabytes: 0 };
  const seeds = await validInputs(reader, folder);
  let index = first;
  const beat = () => say({ kind: "next", index, statistics });
  const fail = (fault: Fault) => say({ kind: "failure", failure: { reader: reader.name, index, ...fault } });
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    process.on(event, (error: unknown) => void fail(faultOfError(error)).then(() => process.exit(0)));
  }
  for (; index < last; index++) {
    await beat();
    const input = file === undefined ? await inputAt(reader, seeds, [seed, index]) : readFileSync(file);
    const outcome = await readPatiently(reader, input, { folder, limits, beat });
    statistics = {
      read: statistics.read + 1,
      accepted: statistics.accepted + (outcome.thrown.length === 0 ? 1 : 0),
      maxMilliseconds: Math.max(statistics.maxMilliseconds, outcome.milliseconds),
      maxMegabytes: Math.max(statistics.maxMegabytes, outcome.megabytes),
    };
    const fault = faultOf(outcome, limits);
    if (fault === undefined) continue;
    await beat();
    return fail(fault);
  }
  await say({ kind: "done", statistics });
}

/** A reader's valid inputs, each read once: which also loads what would count as memory of the first input. */
async function validInputs(reader: Reader, folder: string): Promise<readonly Uint8Array[]> {
  const making = path.join(folder, "seeds");
  mkdirSync(making, { recursive: true });
  const seeds = await reader.seeds(making);
  for (const input of seeds) {
    const { thrown } = await readOnce(reader, input, folder);
    if (thrown.length > 0) throw new Error(`${reader.name}: a valid input is refused`, { cause: thrown[0] });
  }
  return seeds;
}

const [job = "", module = ""] = process.argv.slice(2);
const { readers }: { readers: readonly Reader[] } = await import(module);
await run(JSON.parse(job), readers);
process.disconnect?.();
