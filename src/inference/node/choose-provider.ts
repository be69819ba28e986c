/** Which provider runs a model fastest: measured once, and remembered. */
import { mkdir, readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import * as z from "zod";
import { add, emitOnnx, input } from "../../graph/index.js";
import { cacheDir } from "../../node/cache-dir.js";
import { writeFileAtomic } from "../../node/files.js";
import { sha256Of } from "../../node/sha256.js";
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import { graphicsProvidersOf, type NodeProvider, nodeProviders } from "../../runtime/providers.js";
import { measureRun } from "../measure-run.js";
import type { Predictor } from "../predictor.js";
import { processorOf, runtimeVersion } from "./model-request.js";

/** Runs of a model after the first, which prepares kernels; the fastest one counts. */
const measuredRuns = 3;

/** A provider that may run a model. */
export interface ProviderCandidate {
  readonly name: NodeProvider;
  /** Whether it can run anything on this machine. */
  readonly works: () => Promise<boolean>;
  /** Opens the model on it. */
  readonly open: () => Promise<Predictor>;
}

/** Options of `chooseProvider`. */
export interface ChooseProviderOptions {
  /** What runs where no candidate is faster. */
  readonly cpu: Pick<ProviderCandidate, "open">;
  readonly candidates: readonly ProviderCandidate[];
  /** The model, as the hash of what it is opened from. */
  readonly model: string;
  /** Where choices are remembered. Default: `providers` in the shared cache folder. */
  readonly dir?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

const recordSchema = z.strictObject({
  format: z.literal("avseg-provider-1"),
  provider: z.enum(nodeProviders),
  /** Seconds of a run, where there was something to compare. */
  seconds: z.partialRecord(z.enum(nodeProviders), z.number()),
});

/**
 * The provider that runs a model fastest. The candidates that work are measured, and the processor beside them; where
 * none works, nothing is measured. The choice is remembered for the model, the runtime, the processor and the graphics
 * cards. Throws the signal's reason when aborted, and what opening the model on the processor throws.
 */
export async function chooseProvider(options: ChooseProviderOptions): Promise<NodeProvider> {
  const { cpu, candidates, dir = path.join(cacheDir(), "providers"), signal } = options;
  const key = sha256Of(JSON.stringify([options.model, await machine(), candidates.map(({ name }) => name)]));
  const file = path.join(dir, `${key.slice(0, 32)}.json`);
  const known = await readRecord(file);
  if (known) return known;
  const seconds: Partial<Record<NodeProvider, number>> = {};
  for (const { name, works, open } of candidates) {
    signal?.throwIfAborted();
    if (!(await works())) continue;
    const time = await measured(open, signal).catch(() => undefined);
    signal?.throwIfAborted();
    if (time !== undefined) seconds[name] = time;
  }
  if (Object.keys(seconds).length > 0) seconds.cpu = await measured(cpu.open, signal);
  const fastest = nodeProviders.reduce<NodeProvider>(
    (best, name) =>
      (seconds[name] ?? Number.POSITIVE_INFINITY) < (seconds[best] ?? Number.POSITIVE_INFINITY) ? name : best,
    "cpu",
  );
  const record = { format: "avseg-provider-1", provider: fastest, seconds };
  // Where it cannot be written, it is measured again the next time.
  await mkdir(dir, { recursive: true })
    .then(() => writeFileAtomic(file, `${JSON.stringify(record)}\n`, { durable: false }))
    .catch(() => undefined);
  return fastest;
}

/** The candidates of this platform; `open` opens the model on one of them. */
export function graphicsCandidates(open: (name: NodeProvider) => Promise<Predictor>): ProviderCandidate[] {
  return graphicsProvidersOf(process.platform, process.arch).map((name) => ({
    name,
    works: () => works(name),
    open: () => open(name),
  }));
}

/** Whether a provider runs a graph of one sum. */
async function works(provider: NodeProvider): Promise<boolean> {
  const runtime = nodeRuntime({ provider, threads: 1 });
  try {
    const x = input("x", [1]);
    const session = await runtime.createSession({ graph: emitOnnx({ y: add(x, x) }), weights: new Map() });
    const { y } = await session.run({ x: { dtype: "f32", shape: [1], data: Float32Array.of(2) } });
    return y?.data[0] === 4;
  } catch {
    return false;
  } finally {
    await runtime.close();
  }
}

async function measured(open: () => Promise<Predictor>, signal: AbortSignal | undefined): Promise<number> {
  const predictor = await open();
  try {
    await measureRun(predictor);
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < measuredRuns; i++) {
      signal?.throwIfAborted();
      best = Math.min(best, await measureRun(predictor));
    }
    return best;
  } finally {
    await predictor.close();
  }
}

async function readRecord(file: string): Promise<NodeProvider | undefined> {
  try {
    return recordSchema.safeParse(JSON.parse(await readFile(file, "utf8"))).data?.provider;
  } catch {
    return undefined;
  }
}

/** The runtime, the libraries beside it, the processor and what the system says about graphics cards. */
async function machine(): Promise<readonly unknown[]> {
  const { name, flags } = await processorOf();
  const cards = (await readdir("/sys/class/drm").catch(() => [])).filter((card) => /^card\d+$/.test(card));
  const ids = cards
    .sort()
    .flatMap((card) => ["vendor", "device"].map((id) => `/sys/class/drm/${card}/device/${id}`));
  const texts = [...ids, "/proc/driver/nvidia/version"].map((file) =>
    readFile(file, "latin1").catch(() => ""),
  );
  return [runtimeVersion, process.platform, os.release(), os.arch(), name, flags, await Promise.all(texts)];
}
