/** Opens a split of AVSBench, or of any dataset in its layout, and checks that its files exist. */
import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { DatasetError, listSome } from "../../errors.js";
import { readFailure } from "../../node/system-error.js";
import type { AvsDataset, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { classesOf, findShards, openShards } from "../shards/open.js";
import { clipDataset } from "./clip-dataset.js";
import type { AudioSource } from "./clip-request.js";
import { type ClipFiles, filesOfTable, labelFile, layouts, soundsOf } from "./layout.js";
import type { OpenOptions } from "./open-options.js";
import { parseTable, type Table } from "./table.js";

/**
 * Opens one split. The clips come in the order of the metadata table; a clip that the table repeats comes once.
 * Throws `DatasetError` for a missing or malformed table, an empty split, or a row whose files are missing.
 *
 * @example
 * const dataset = await openDataset({ task: "s4", root: "data/AVSBench", split: "test", imageSize: 224 });
 * const { frames, masks } = await dataset.load(0);
 */
export async function openDataset(given: OpenOptions): Promise<AvsDataset> {
  const { waves = false } = given;
  const options = { ...given, waves, audio: waves ? ("wav" as const) : (given.audio ?? "auto") };
  const { task, split, rank = 0, ranks = 1 } = options;
  if (!Number.isInteger(rank) || !Number.isInteger(ranks) || rank < 0 || rank >= ranks) {
    throw new RangeError(`dataset: rank ${rank} of ${ranks}`);
  }
  const shards = await findShards(task, options.root);
  if (shards !== undefined) return openShards(shards, options);
  const { folder, source, files: all } = await listClips(options);
  const files = all.filter((_, i) => i % ranks === rank);
  if (files.length === 0) {
    const found = all.length === 0 ? "no row has" : `fewer rows than ${ranks}, the number of ranks, have`;
    throw new DatasetError(`${source}: ${found} the split "${split}"`, {
      hint: "Choose another split, or add its clips to the table.",
    });
  }
  const classes = task === "avss" ? await readClassNames(folder) : ["background", "sounding"];
  return clipDataset(
    files.map((clip) => ({ files: clip })),
    { ...options, folder, classes },
  );
}

/**
 * The clips of a split in the order of the metadata table, each once. Throws `DatasetError` for a missing or malformed
 * table, or a row whose files are missing.
 */
export async function listClips({
  task,
  root,
  split,
  audio = "auto",
  onWarning,
}: Pick<OpenOptions, "task" | "root" | "split" | "audio" | "onWarning">): Promise<{
  /** The folder of the task. */
  readonly folder: string;
  /** The table. */
  readonly source: string;
  readonly files: readonly ClipFiles[];
}> {
  const folder = await taskFolder(task, root);
  const table = await readTable(task, folder);
  const { source } = table;
  const rows = filesOfTable(task, table).filter((clip) => clip.split === split);
  const unique = withoutRepeats(rows, (message) => onWarning?.(`${source}: ${message}`));
  const files = task === "ms3" ? await withSoundsOfAvss(unique, folder) : unique;
  await mapConcurrent(files, 16, (clip) => checkPresent(folder, clip, { source, audio }));
  return { folder, source, files };
}

/** Class names of a dataset by index, in a folder or in shards. Throws `DatasetError`. */
export async function datasetClasses(task: Task, root: string): Promise<readonly string[]> {
  const shards = await findShards(task, root);
  if (shards !== undefined) return classesOf(shards);
  return task === "avss" ? readClassNames(await taskFolder(task, root)) : ["background", "sounding"];
}

/** One entry per clip: of rows that name the same clip, the first. Scores would otherwise count it several times. */
function withoutRepeats(rows: readonly ClipFiles[], onWarning: (message: string) => void): ClipFiles[] {
  const first = new Map<string, ClipFiles>();
  const repeats: string[] = [];
  for (const row of rows) {
    const key = `${row.category}/${row.id}`;
    const earlier = first.get(key);
    if (earlier === undefined) first.set(key, row);
    else repeats.push(`line ${row.line} repeats clip ${row.id} of line ${earlier.line}`);
  }
  if (repeats.length > 0) onWarning(`${listSome(repeats, 3, "; ")}; each clip is used once`);
  return [...first.values()];
}

/**
 * MS3's published table does not say what sounds. AVSS's table, where it lies beside it, does: clips of its subset `v1m`
 * are those of MS3.
 */
async function withSoundsOfAvss(files: readonly ClipFiles[], folder: string): Promise<readonly ClipFiles[]> {
  const { folder: avss, table, columns } = layouts.avss;
  const source = path.join(folder, "..", avss, table);
  if (files.some(({ sounds }) => sounds.length > 0) || !(await isFile(source))) return files;
  const { rows } = parseTable(await readText(source), { source, required: columns, onFault: () => {} });
  const sounds = new Map(
    rows.filter(({ values }) => values.label === "v1m").map((row) => [row.values.vid ?? "", soundsOf(row)]),
  );
  return files.map((clip) => ({ ...clip, sounds: sounds.get(clip.id) ?? [] }));
}

/** The folder of a task: below `root`, or `root` itself. Throws `DatasetError` when neither has the table. */
export async function taskFolder(task: Task, root: string): Promise<string> {
  const { folder, table } = layouts[task];
  for (const candidate of [path.join(root, folder), root]) {
    if (await isFile(path.join(candidate, table))) return candidate;
  }
  const found = await stat(root).catch(() => undefined);
  const what = found === undefined ? "there is no such folder" : `it has no ${folder}/${table}`;
  throw new DatasetError(`${root}: expected the root of AVSBench or its ${folder} folder, but ${what}`, {
    hint: `Point the data root at the folder that holds ${folder}, or make data with \`avseg data synth\`.`,
  });
}

/** Reads the metadata table of a task. Throws `DatasetError`; `onFault` gets those of single rows (see `parseTable`). */
export async function readTable(
  task: Task,
  folder: string,
  onFault?: ((fault: DatasetError) => void) | undefined,
): Promise<Table> {
  const source = path.join(folder, layouts[task].table);
  return parseTable(await readText(source), { source, required: layouts[task].columns, onFault });
}

/** Class names by index from `label2idx.json`. Throws `DatasetError`. */
export async function readClassNames(folder: string): Promise<string[]> {
  const source = path.join(folder, labelFile);
  const text = await readText(source);
  const hint = 'It must map every class name to its index: {"background": 0, "accordion": 1, ...}.';
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (error) {
    throw new DatasetError(`${source}: not valid JSON`, { hint, cause: error });
  }
  const checked = z.record(z.string(), z.int().min(0).max(255)).safeParse(parsed);
  const names: string[] = [];
  for (const [name, index] of Object.entries(checked.data ?? {})) names[index] = name;
  const count = Object.keys(checked.data ?? {}).length;
  if (!checked.success || count < 2 || names.length !== count) {
    const found = checked.success
      ? `${count} names up to index ${names.length - 1}`
      : firstIssue(checked.error);
    throw new DatasetError(
      `${source}: expected the indices 0, 1, 2 ... 255 at most without gaps, one per name, found ${found}`,
      { hint },
    );
  }
  return names;
}

function firstIssue({ issues: [issue] }: z.ZodError): string {
  const key = issue?.path.join(".");
  return key ? `another value at ${JSON.stringify(key.slice(0, 40))}` : "no such map";
}

const maxTableBytes = 256 * 2 ** 20;

/** A table or list as text. Throws `DatasetError` when it is not a file, cannot be read or is too large. */
export async function readText(source: string, hint = "Check the path."): Promise<string> {
  const fail = (reason: string, cause?: unknown): never => {
    throw new DatasetError(`cannot read ${source}: ${reason}`, { hint, cause });
  };
  try {
    const status = await stat(source);
    if (!status.isFile()) return fail("it is a folder or a device");
    if (status.size > maxTableBytes) {
      return fail(`${status.size} bytes, expected a table of at most ${maxTableBytes}`);
    }
    return await readFile(source, "utf8");
  } catch (error) {
    const reason = readFailure(error);
    if (reason === undefined) throw error;
    return fail(reason, error);
  }
}

/** Checks that the frames, masks and sound of a row exist, so that a long run does not fail halfway. */
async function checkPresent(
  folder: string,
  clip: ClipFiles,
  { source, audio }: { readonly source: string; readonly audio: AudioSource },
): Promise<void> {
  const missing = await missingFiles(folder, clip, audio);
  if (missing[0] === undefined) return;
  const more = missing.length > 1 ? ` and ${missing.length - 1} more files` : "";
  throw new DatasetError(
    `${source} line ${clip.line}: clip ${clip.id} has no ${path.join(folder, missing[0])}${more}`,
    { hint: "Add the files or remove the row; `avseg data check` lists everything that is wrong." },
  );
}

/** The missing files of a clip, relative to the folder of the task. */
export async function missingFiles(folder: string, clip: ClipFiles, audio: AudioSource): Promise<string[]> {
  const images = [...clip.frames, ...clip.masks.filter((mask) => mask !== undefined)];
  const names = await listing(folder, images);
  const missing = images.filter((file) => !names.has(file));
  const sounds = [
    ...(audio !== "pkl" || clip.pickle === undefined ? [clip.wav] : []),
    ...(audio !== "wav" && clip.pickle !== undefined ? [clip.pickle] : []),
  ];
  for (const sound of sounds) {
    if (await isFile(path.join(folder, sound))) return missing;
  }
  return [...missing, ...sounds.slice(0, 1)];
}

/** All files of the folders that hold `files`: one listing per folder is faster than a check per file. */
async function listing(folder: string, files: readonly string[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const dir of new Set(files.map((file) => path.posix.dirname(file)))) {
    const found = await readdir(path.join(folder, dir)).catch(() => []);
    for (const name of found) names.add(`${dir}/${name}`);
  }
  return names;
}

async function isFile(file: string): Promise<boolean> {
  const found = await stat(file).catch(() => undefined);
  return found?.isFile() === true;
}
