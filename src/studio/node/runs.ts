/** The training runs of a folder. */
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { type LogLine, readLog } from "../../training/run-log.js";
import type { RunSummary } from "../protocol.js";
import { RequestError } from "./requests.js";

/** Runs lie at most this deep below the folder. */
const maxDepth = 4;
const maxRuns = 200;
const logName = "metrics.jsonl";

/** A run and where it lies. */
export interface Run extends RunSummary {
  readonly folder: string;
}

/** All runs below a folder, the newest first. A folder that is missing has none. */
export async function listRuns(root: string): Promise<Run[]> {
  const runs: Run[] = [];
  const visit = async (folder: string, depth: number): Promise<void> => {
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    if (entries.some((entry) => entry.isFile() && entry.name === logName)) {
      runs.push(await describe(root, folder));
      return;
    }
    if (depth === maxDepth) return;
    for (const entry of entries) {
      if (entry.isDirectory() && runs.length < maxRuns) await visit(path.join(folder, entry.name), depth + 1);
    }
  };
  await visit(root, 0);
  return runs.sort((a, b) => b.modified - a.modified);
}

async function describe(root: string, folder: string): Promise<Run> {
  const log = path.join(folder, logName);
  const epochs = (await readLog(log)).filter(({ kind }) => kind === "epoch");
  const values = epochs.flatMap(({ validation }) => {
    const miou =
      typeof validation === "object" && validation !== null ? Reflect.get(validation, "miou") : undefined;
    return typeof miou === "number" ? [miou] : [];
  });
  const has = (name: string) => isFileBelow(root, path.join(folder, name));
  const name = path.relative(root, folder) || path.basename(root);
  return {
    id: Buffer.from(name).toString("base64url"),
    name,
    folder,
    modified: (await stat(log)).mtimeMs,
    epochs: epochs.length,
    best: values.length > 0 ? Math.max(...values) : undefined,
    hasCheckpoint: await has("best.safetensors"),
    hasReport: await has("report.html"),
  };
}

/** Whether `file` is a file below `root` after all symbolic links were followed. */
async function isFileBelow(root: string, file: string): Promise<boolean> {
  try {
    const [realRoot, realFile] = await Promise.all([realpath(root), realpath(file)]);
    return realFile.startsWith(path.join(realRoot, path.sep)) && (await stat(realFile)).isFile();
  } catch {
    return false;
  }
}

/** A run by its id. Throws `RequestError` for an unknown one. */
export async function findRun(root: string, id: string): Promise<Run> {
  const run = (await listRuns(root)).find((r) => r.id === id);
  if (!run) throw new RequestError(404, "there is no such run", "Reload the list of runs.");
  return run;
}

/** The log of a run. */
export function logOf({ folder }: Run): Promise<LogLine[]> {
  return readLog(path.join(folder, logName));
}

/** A run's report. Throws `RequestError` for a run without one. */
export async function reportOf({ folder, hasReport }: Run): Promise<string> {
  if (!hasReport) throw new RequestError(404, "this run has no report", "Evaluate it with `avseg eval`.");
  return readFile(path.join(folder, "report.html"), "utf8");
}
