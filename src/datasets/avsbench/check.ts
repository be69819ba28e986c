/** Reads a dataset whole and lists everything that is wrong with it, instead of stopping at the first fault. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import path from "node:path";
import { AvsegError } from "../../errors.js";
import { exampleCount, VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { readGray, readRgb } from "../../media/node/image-file.js";
import { readWavFile } from "../../media/node/wav-file.js";
import { classOfColor } from "../../media/palette.js";
import { type Image, imageSize } from "../../media/resize.js";
import { toMono } from "../../media/wav.js";
import { loadTorchTensor } from "../../weights/node/load.js";
import type { Split, Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";
import { type ClipFiles, filesOfRow } from "./layout.js";
import { missingFiles, readClassNames, readTable, taskFolder } from "./open-dataset.js";

/** What can be wrong. */
export type IssueKind =
  | "table"
  | "duplicate"
  | "overlap"
  | "missing"
  | "unreadable"
  | "size"
  | "mask-values"
  | "empty-mask"
  | "audio"
  | "log-mel";

/** One thing that is wrong. An error stops training or spoils it; a warning is worth a look. */
export interface DatasetIssue {
  readonly severity: "error" | "warning";
  readonly kind: IssueKind;
  /** The clip, or `""` for the table itself. */
  readonly clip: string;
  /** One sentence that names the file, what was expected and what was found. */
  readonly message: string;
}

/** The outcome of `checkDataset`. */
export interface DatasetReport {
  readonly folder: string;
  /** Rows per split. */
  readonly clips: Readonly<Record<Split, number>>;
  /** The table's own first, then clip by clip in the table's order. */
  readonly issues: readonly DatasetIssue[];
}

/** Options of `checkDataset`. */
export interface CheckOptions {
  readonly task: Task;
  /** The root of AVSBench, or the task's folder. */
  readonly root: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: { readonly done: number; readonly total: number }) => void) | undefined;
}

type Report = (severity: DatasetIssue["severity"], kind: IssueKind, message: string) => void;

/**
 * Checks every row and every file of all splits. Throws `DatasetError` only when there is no readable
 * table to start from, and the signal's reason when aborted.
 */
export async function checkDataset(options: CheckOptions): Promise<DatasetReport> {
  const { task, signal } = options;
  const folder = await taskFolder(task, options.root);
  const issues: DatasetIssue[] = [];
  const table = await readTable(task, folder, ({ message }) => {
    issues.push({ severity: "error", kind: "table", clip: "", message });
  });
  const clips = { train: 0, val: 0, test: 0 };
  const files: ClipFiles[] = [];
  for (const row of table.rows) {
    await collect(issues, "", "table", async () => {
      files.push(filesOfRow(task, row, table.source));
    });
  }
  const classCount = { value: 256 };
  if (task === "avss") {
    await collect(issues, "", "table", async () => {
      classCount.value = (await readClassNames(folder)).length;
    });
  }
  findDuplicates(files, issues);
  let done = 0;
  const checked = await mapConcurrent(files, 4, async (clip) => {
    signal?.throwIfAborted();
    const own: DatasetIssue[] = [];
    const report: Report = (severity, kind, message) => own.push({ severity, kind, clip: clip.id, message });
    const digest = await checkClip(task, folder, clip, classCount.value, own, report);
    options.onProgress?.({ done: ++done, total: files.length });
    return { digest, own };
  });
  const sounds = new Map<string, ClipFiles>();
  for (const [i, { digest, own }] of checked.entries()) {
    const clip = files[i] as ClipFiles;
    clips[clip.split]++;
    issues.push(...own);
    const twin = digest === undefined ? undefined : sounds.get(digest);
    if (digest !== undefined && twin === undefined) sounds.set(digest, clip);
    if (twin === undefined || twin.id === clip.id || twin.split === clip.split) continue;
    const message = `${clip.wav} (${clip.split}) is the same sound as ${twin.wav} (${twin.split})`;
    issues.push({ severity: "error", kind: "overlap", clip: clip.id, message });
  }
  return { folder, clips, issues };
}

/** Turns what `work` throws into an issue, if it is something that a user can mend. */
async function collect<T>(
  issues: DatasetIssue[],
  clip: string,
  kind: IssueKind,
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof AvsegError)) throw error;
    issues.push({ severity: "error", kind, clip, message: error.message });
    return undefined;
  }
}

function findDuplicates(files: readonly ClipFiles[], issues: DatasetIssue[]): void {
  const seen = new Map<string, ClipFiles>();
  for (const clip of files) {
    const first = seen.get(clip.id);
    if (first === undefined) {
      seen.set(clip.id, clip);
      continue;
    }
    const [kind, what] =
      first.split === clip.split
        ? (["duplicate", "twice in"] as const)
        : (["overlap", `in ${first.split} and in`] as const);
    const lines = `lines ${first.line} and ${clip.line} of the table`;
    issues.push({ severity: "error", kind, clip: clip.id, message: `${what} ${clip.split}: ${lines}` });
  }
}

/** Checks one clip; returns the digest of its sound. */
async function checkClip(
  task: Task,
  folder: string,
  clip: ClipFiles,
  classCount: number,
  issues: DatasetIssue[],
  report: Report,
): Promise<string | undefined> {
  const missing = new Set(await missingFiles(folder, clip, "auto"));
  for (const file of missing) report("error", "missing", `${path.join(folder, file)} is missing`);
  let first: { size: string; file: string } | undefined;
  for (const [t, frameFile] of clip.frames.entries()) {
    const read = (file: string, decode: (file: string) => Promise<Image>): Promise<Image | undefined> =>
      missing.has(file)
        ? Promise.resolve(undefined)
        : collect(issues, clip.id, "unreadable", () => decode(path.join(folder, file)));
    const frame = await read(frameFile, readRgb);
    const size = frame && sizeText(frame);
    if (size !== undefined) {
      first ??= { size, file: frameFile };
      if (size !== first.size) {
        report("error", "size", `${frameFile} is ${size}, expected ${first.size} as ${first.file}`);
      }
    }
    const maskFile = clip.masks[t];
    if (maskFile === undefined) continue;
    const mask = await read(maskFile, task === "avss" ? readRgb : readGray);
    if (mask === undefined) continue;
    if (size !== undefined && sizeText(mask) !== size) {
      report("error", "size", `${maskFile} is ${sizeText(mask)}, expected ${size} as its frame`);
    }
    if (task === "avss") checkLabels(mask, maskFile, classCount, report);
    else checkBinary(mask, maskFile, task, report);
  }
  await collect(issues, clip.id, "log-mel", () => checkPickle(folder, clip, report));
  return collect(issues, clip.id, "audio", () => checkSound(folder, clip, report));
}

function sizeText(image: Image): string {
  const { width, height } = imageSize(image);
  return `${width}x${height}`;
}

function checkBinary(mask: Image, file: string, task: Task, report: Report): void {
  const values = new Set(mask.data);
  const others = [...values].filter((value) => value !== 0 && value !== 255).sort((a, b) => a - b);
  if (others.length > 0) {
    const shown = others.slice(0, 5).join(", ");
    report("error", "mask-values", `${file}: expected the values 0 and 255, found also ${shown}`);
  } else if (task === "s4" && !values.has(255)) {
    report("warning", "empty-mask", `${file}: nothing is marked, though one object sounds in every S4 clip`);
  }
}

function checkLabels(mask: Image, file: string, classCount: number, report: Report): void {
  const foreign = new Map<string, number>();
  for (let i = 0; i < mask.data.length; i += 3) {
    const [r, g, b] = [mask.data[i] as number, mask.data[i + 1] as number, mask.data[i + 2] as number];
    if (classOfColor(r, g, b) < classCount) continue;
    const colour = `(${r}, ${g}, ${b})`;
    foreign.set(colour, (foreign.get(colour) ?? 0) + 1);
  }
  if (foreign.size === 0) return;
  const pixels = [...foreign.values()].reduce((a, b) => a + b, 0);
  const [example] = foreign.keys();
  report("error", "mask-values", `${file}: ${pixels} pixels have colours of no class, e.g. ${example}`);
}

async function checkSound(folder: string, clip: ClipFiles, report: Report): Promise<string | undefined> {
  const file = path.join(folder, clip.wav);
  const present = await stat(file).catch(() => undefined);
  if (!present?.isFile()) return undefined; // Reported as missing, unless a log-mel takes its place.
  const sound = await readWavFile(file);
  const mono = toMono(sound);
  const examples = exampleCount(Math.floor((mono.length * VGGISH_RATE_HZ) / sound.sampleRateHz));
  if (examples < clip.frames.length) {
    const seconds = (mono.length / sound.sampleRateHz).toFixed(2);
    report(
      "warning",
      "audio",
      `${clip.wav}: ${seconds} s of sound give ${examples} examples, expected ${clip.frames.length}`,
    );
  }
  if (mono.every((sample) => sample === 0)) {
    report("warning", "audio", `${clip.wav}: it is silent throughout`);
    return undefined; // All silences are alike.
  }
  return createHash("sha256").update(mono).digest("hex");
}

async function checkPickle(folder: string, clip: ClipFiles, report: Report): Promise<void> {
  if (clip.pickle === undefined) return;
  const file = path.join(folder, clip.pickle);
  const present = await stat(file).catch(() => undefined);
  if (present === undefined) return; // The sound takes its place.
  const { dtype, shape } = await loadTorchTensor(file);
  const [count = 0, ...example] = shape;
  if (dtype !== "f32" || count < 1 || example.join() !== "1,96,64") {
    report("error", "log-mel", `${clip.pickle}: expected f32[N,1,96,64], found ${dtype}[${shape.join(",")}]`);
  } else if (count < clip.frames.length) {
    report("warning", "log-mel", `${clip.pickle}: ${count} examples, expected ${clip.frames.length}`);
  }
}
