/** The training runs of a folder, and the evaluations that lie in them. */
import { type Dirent, statSync } from "node:fs";
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { lockInside, refreshSeconds } from "../../node/lock.js";
import { type LogLine, parseLog } from "../../training/run-log.js";
import type { RunEvaluation, RunLogAnswer, RunSummary } from "../protocol.js";
import { isFileBelow } from "./contained-file.js";
import { curvesOf } from "./curves.js";
import { RequestError } from "./requests.js";

/** Runs lie at most this deep below the folder, and evaluations below a run. */
const maxDepth = 4;
const maxEvaluationDepth = 2;
const maxRuns = 200;
const maxEvaluations = 20;
/** Clips listed of an evaluation, the worst first. */
const maxWorst = 12;
/** A larger log or evaluation is not read. */
const maxTextBytes = 256 * 2 ** 20;
const logName = "metrics.jsonl";

/** A run and where it lies. */
export interface Run extends RunSummary {
  readonly folder: string;
}

/** What is kept of a log between two listings. */
interface KnownLog {
  readonly version: string;
  readonly epochs: number;
  readonly best: number | undefined;
  readonly last: number | undefined;
}

/** The runs below one folder. Reads no file outside of it. */
export class RunsFolder {
  readonly #root: string;
  readonly #logs = new Map<string, KnownLog>();

  constructor(root: string) {
    this.#root = root;
  }

  /** All runs, the newest first. A folder that is missing has none. */
  async list(): Promise<Run[]> {
    const runs: Run[] = [];
    for (const folder of await this.#folders()) {
      const run = await this.#describe(folder);
      if (run) runs.push(run);
    }
    return runs.sort((a, b) => b.modified - a.modified);
  }

  /** A run by its id. Throws `RequestError` for an unknown one. */
  async find(id: string): Promise<Run> {
    const folder = (await this.#folders()).find((f) => runId(this.#nameOf(f)) === id);
    const run = folder === undefined ? undefined : await this.#describe(folder);
    if (!run) throw new RequestError(404, "there is no such run", "Reload the list of runs.");
    return run;
  }

  /** The curves of a run's log. Throws `RequestError` where the log is too large. */
  async log({ folder }: Run): Promise<RunLogAnswer> {
    const { lines, damaged } = parseLog(await readText(path.join(folder, logName)));
    return { curves: curvesOf(lines), damaged };
  }

  /** The evaluations in a run's folder with their worst clips; what cannot be read is left out. */
  async evaluations({ folder }: Run): Promise<RunEvaluation[]> {
    const files = await this.#filesBelow(folder, "evaluation.json");
    const found = await Promise.all(files.map((file) => readEvaluation(folder, file).catch(() => undefined)));
    return found.flatMap((evaluation) => evaluation ?? []);
  }

  /** A report of a run by its name. Throws `RequestError` for an unknown one. */
  async report({ folder, reports }: Run, name: string): Promise<string> {
    if (!reports.includes(name)) {
      throw new RequestError(404, "this run has no such report", "Evaluate it with `avseg eval`.");
    }
    return readText(path.join(folder, name));
  }

  /** The folders that have a log. */
  async #folders(): Promise<string[]> {
    const found: string[] = [];
    const visit = async (folder: string, depth: number): Promise<void> => {
      const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => []);
      if (entries.some((entry) => entry.isFile() && entry.name === logName)) {
        found.push(folder);
        return;
      }
      if (depth === maxDepth) return;
      for (const entry of entries) {
        if (entry.isDirectory() && found.length < maxRuns)
          await visit(path.join(folder, entry.name), depth + 1);
      }
    };
    await visit(this.#root, 0);
    return found;
  }

  /** A run's path below the folder of runs. */
  #nameOf(folder: string): string {
    return path.relative(this.#root, folder) || path.basename(path.resolve(folder));
  }

  async #describe(folder: string): Promise<Run | undefined> {
    const file = path.join(folder, logName);
    const status = await stat(file).catch(() => undefined);
    if (!status) return undefined; // removed in the meantime
    const name = this.#nameOf(folder);
    const { version: _, ...log } = await this.#logFacts(file, `${status.mtimeMs}-${status.size}`);
    const reports = await this.#filesBelow(folder, "report.html");
    const evaluations = await this.#filesBelow(folder, "evaluation.json");
    const evaluated = evaluations.map((found) => statSync(found, { throwIfNoEntry: false })?.mtimeMs ?? 0);
    return {
      id: runId(name),
      name: name.split(path.sep).join("/"),
      folder,
      modified: status.mtimeMs,
      bytes: status.size,
      isTraining: isRefreshed(lockInside(folder)),
      ...log,
      hasCheckpoint: await isFileBelow(this.#root, path.join(folder, "best.safetensors")),
      evaluated: Math.max(0, ...evaluated),
      reports: reports.map((report) => path.relative(folder, report).split(path.sep).join("/")),
    };
  }

  /** Logs are read again only after they have changed. */
  async #logFacts(file: string, version: string): Promise<KnownLog> {
    const known = this.#logs.get(file);
    if (known?.version === version) return known;
    const text = await readText(file).catch(() => "");
    const epochs = parseLog(text).lines.filter(({ kind }) => kind === "epoch");
    const values = epochs.flatMap(validationMiou);
    const facts = {
      version,
      epochs: epochs.length,
      best: values.length > 0 ? values.reduce((a, b) => Math.max(a, b)) : undefined,
      last: values.at(-1),
    };
    this.#logs.set(file, facts);
    return facts;
  }

  /** Files of this name in a run's folder and a little below it. */
  async #filesBelow(folder: string, name: string): Promise<string[]> {
    const found: string[] = [];
    const visit = async (at: string, depth: number): Promise<void> => {
      const entries = await readdir(at, { withFileTypes: true }).catch((): Dirent[] => []);
      for (const entry of entries.sort((a, b) => a.name.localeCompare(b.name))) {
        const file = path.join(at, entry.name);
        if (found.length === maxEvaluations) return;
        if (entry.name === name && (await isFileBelow(this.#root, file))) found.push(file);
        else if (entry.isDirectory() && depth < maxEvaluationDepth) await visit(file, depth + 1);
      }
    };
    await visit(folder, 0);
    return found;
  }
}

/** The id of a run by its path below the folder of runs. */
export function runId(name: string): string {
  return Buffer.from(name).toString("base64url");
}

/** Whether the holder of a lock was alive a moment ago. */
function isRefreshed(lock: string): boolean {
  const status = statSync(lock, { throwIfNoEntry: false });
  return status !== undefined && Date.now() - status.mtimeMs < 3000 * refreshSeconds;
}

async function readText(file: string): Promise<string> {
  const { size } = await stat(file);
  if (size > maxTextBytes)
    throw new RequestError(413, `${path.basename(file)} has more than ${maxTextBytes / 2 ** 20} MB`);
  return readFile(file, "utf8");
}

function validationMiou({ validation }: LogLine): number[] {
  const parsed = z.object({ miou: z.number() }).safeParse(validation);
  return parsed.success ? [parsed.data.miou] : [];
}

const evaluationSchema = z.object({
  summary: z.object({ miou: z.number(), fscore: z.number() }),
  clips: z.array(
    z.object({ id: z.string(), category: z.string(), miou: z.number(), fscore: z.number().nullable() }),
  ),
  context: z.object({ split: z.string() }),
});

async function readEvaluation(folder: string, file: string): Promise<RunEvaluation> {
  const { summary, clips, context } = evaluationSchema.parse(JSON.parse(await readText(file)));
  return {
    name: path.relative(folder, path.dirname(file)).split(path.sep).join("/"),
    split: context.split,
    clips: clips.length,
    ...summary,
    worst: [...clips].sort((a, b) => a.miou - b.miou).slice(0, maxWorst),
  };
}
