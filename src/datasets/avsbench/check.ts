/** Reads every file of a dataset and lists everything that is wrong with it, instead of stopping at the first fault. */

import { stat } from "node:fs/promises";
import path from "node:path";
import { u8At } from "../../arrays.js";
import { AvsegError } from "../../errors.js";
import { exampleCount, VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { readGray, readRgb } from "../../media/node/image-file.js";
import { readWavFile } from "../../media/node/wav-file.js";
import { classOfColor } from "../../media/palette.js";
import { type ImageTensor, imageSize } from "../../media/resize.js";
import { toMono } from "../../media/wav.js";
import { sha256Of } from "../../node/sha256.js";
import type { CountedProgress } from "../../progress.js";
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

/** One thing that is wrong. An error stops or spoils training; a warning deserves a look. */
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
  /** Those of the table first, then clip by clip in the table's order. */
  readonly issues: readonly DatasetIssue[];
}

/** Options of `checkDataset`. */
export interface CheckOptions {
  readonly task: Task;
  /** The root of AVSBench, or the task's folder. */
  readonly root: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CountedProgress) => void) | undefined;
}

/** Collects what is wrong with one clip, or with the table. */
class Findings {
  readonly issues: DatasetIssue[] = [];
  readonly #clip: string;

  constructor(clip = "") {
    this.#clip = clip;
  }

  error(kind: IssueKind, message: string): void {
    this.issues.push({ severity: "error", kind, clip: this.#clip, message });
  }

  warning(kind: IssueKind, message: string): void {
    this.issues.push({ severity: "warning", kind, clip: this.#clip, message });
  }

  /** The result of `work`. A failure that a user can fix becomes an issue; any other is thrown. */
  async attempt<T>(kind: IssueKind, work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof AvsegError)) throw error;
      this.error(kind, error.message);
      return undefined;
    }
  }
}

/** What all clips of a dataset share. */
interface CheckedDataset {
  readonly task: Task;
  readonly folder: string;
  /** Number of classes, background included; AVSS only. */
  readonly classCount: number;
}

/**
 * Checks every row and every file of all splits. Throws `DatasetError` only when there is no readable
 * table to start from, and the signal's reason when aborted.
 */
export async function checkDataset(options: CheckOptions): Promise<DatasetReport> {
  const { task, signal, onProgress } = options;
  const folder = await taskFolder(task, options.root);
  const table = new Findings();
  const { rows, source } = await readTable(task, folder, ({ message }) => table.error("table", message));
  const clips: ClipFiles[] = [];
  for (const row of rows) {
    const files = await table.attempt("table", () => filesOfRow(task, row, source));
    if (files !== undefined) clips.push(files);
  }
  const names = task === "avss" ? await table.attempt("table", () => readClassNames(folder)) : undefined;
  const dataset = { task, folder, classCount: names?.length ?? 256 };
  let done = 0;
  const checked = await mapConcurrent(clips, 4, async (clip) => {
    signal?.throwIfAborted();
    const findings = new Findings(clip.id);
    const sound = await checkClip(dataset, clip, findings);
    onProgress?.({ done: ++done, total: clips.length });
    return { clip, sound, issues: findings.issues };
  });
  const count = (split: Split): number => clips.filter((clip) => clip.split === split).length;
  return {
    folder,
    clips: { train: count("train"), val: count("val"), test: count("test") },
    issues: [...table.issues, ...repeatedClips(clips), ...checked.flatMap(withSharedSounds())],
  };
}

/** Clips that the table lists twice, or in several splits. */
function repeatedClips(clips: readonly ClipFiles[]): DatasetIssue[] {
  const firsts = new Map<string, ClipFiles>();
  return clips.flatMap((clip): DatasetIssue[] => {
    const first = firsts.get(clip.id);
    if (first === undefined) {
      firsts.set(clip.id, clip);
      return [];
    }
    const lines = `lines ${first.line} and ${clip.line} of the table`;
    const [kind, message] =
      first.split === clip.split
        ? (["duplicate", `twice in ${clip.split}: ${lines}`] as const)
        : (["overlap", `in ${first.split} and in ${clip.split}: ${lines}`] as const);
    return [{ severity: "error", kind, clip: clip.id, message }];
  });
}

/** What was found out about a clip. */
interface CheckedClip {
  readonly clip: ClipFiles;
  /** The digest of its sound. */
  readonly sound: string | undefined;
  readonly issues: readonly DatasetIssue[];
}

/** Gives a clip's issues; called clip by clip, it adds an issue where a clip of another split had the same sound. */
function withSharedSounds(): (checked: CheckedClip) => DatasetIssue[] {
  const firsts = new Map<string, ClipFiles>();
  return ({ clip, sound, issues }) => {
    const first = sound === undefined ? undefined : firsts.get(sound);
    if (sound !== undefined && first === undefined) firsts.set(sound, clip);
    if (first === undefined || first.id === clip.id || first.split === clip.split) return [...issues];
    const message = `${clip.wav} (${clip.split}) is the same sound as ${first.wav} (${first.split})`;
    return [...issues, { severity: "error", kind: "overlap", clip: clip.id, message }];
  };
}

/** Checks one clip; returns the digest of its sound. */
async function checkClip(
  dataset: CheckedDataset,
  clip: ClipFiles,
  findings: Findings,
): Promise<string | undefined> {
  const missing = new Set(await missingFiles(dataset.folder, clip, "auto"));
  for (const file of missing) findings.error("missing", `${path.join(dataset.folder, file)} is missing`);
  const read = async (file: string, decode: (file: string) => Promise<ImageTensor>) =>
    missing.has(file)
      ? undefined
      : findings.attempt("unreadable", () => decode(path.join(dataset.folder, file)));
  let first: { readonly size: string; readonly file: string } | undefined;
  for (const [t, frameFile] of clip.frames.entries()) {
    const frame = await read(frameFile, readRgb);
    const size = frame && sizeText(frame);
    if (size !== undefined) {
      first ??= { size, file: frameFile };
      if (size !== first.size) {
        findings.error("size", `${frameFile} is ${size}, expected ${first.size} like ${first.file}`);
      }
    }
    const maskFile = clip.masks[t];
    if (maskFile === undefined) continue;
    const mask = await read(maskFile, dataset.task === "avss" ? readRgb : readGray);
    if (mask === undefined) continue;
    if (size !== undefined && sizeText(mask) !== size) {
      findings.error("size", `${maskFile} is ${sizeText(mask)}, expected ${size} like its frame`);
    }
    checkMask(dataset, { mask, file: maskFile }, findings);
  }
  await findings.attempt("log-mel", () => checkPickle(dataset.folder, clip, findings));
  return findings.attempt("audio", () => checkSound(dataset.folder, clip, findings));
}

function sizeText(image: ImageTensor): string {
  const { width, height } = imageSize(image);
  return `${width}x${height}`;
}

function checkMask(
  { task, classCount }: CheckedDataset,
  { mask, file }: { readonly mask: ImageTensor; readonly file: string },
  findings: Findings,
): void {
  if (task === "avss") {
    const fault = foreignColors(mask, classCount);
    if (fault !== undefined) findings.error("mask-values", `${file}: ${fault}`);
    return;
  }
  const values = new Set(mask.data);
  const others = [...values].filter((value) => value !== 0 && value !== 255).sort((a, b) => a - b);
  if (others.length > 0) {
    const shown = others.slice(0, 5).join(", ");
    findings.error("mask-values", `${file}: expected the values 0 and 255, found also ${shown}`);
  } else if (task === "s4" && !values.has(255)) {
    findings.warning("empty-mask", `${file}: nothing is marked, though one object sounds in every S4 clip`);
  }
}

/** How many pixels have colors of no class, if any. */
function foreignColors({ data }: ImageTensor, classCount: number): string | undefined {
  let pixels = 0;
  let example = "";
  for (let i = 0; i < data.length; i += 3) {
    const [r, g, b] = [u8At(data, i), u8At(data, i + 1), u8At(data, i + 2)];
    if (classOfColor(r, g, b) < classCount) continue;
    if (pixels++ === 0) example = `(${r}, ${g}, ${b})`;
  }
  return pixels === 0 ? undefined : `${pixels} pixels have colors of no class, e.g. ${example}`;
}

/** Checks the sound; returns its digest, unless it is silent (all silences are alike) or missing. */
async function checkSound(folder: string, clip: ClipFiles, findings: Findings): Promise<string | undefined> {
  const file = path.join(folder, clip.wav);
  const present = await stat(file).catch(() => undefined);
  if (!present?.isFile()) return undefined; // reported as missing, unless a log-mel takes its place
  const sound = await readWavFile(file);
  const mono = toMono(sound);
  const examples = exampleCount(Math.floor((mono.length * VGGISH_RATE_HZ) / sound.sampleRateHz));
  if (examples < clip.frames.length) {
    const seconds = (mono.length / sound.sampleRateHz).toFixed(2);
    const wanted = clip.frames.length;
    findings.warning(
      "audio",
      `${clip.wav}: ${seconds} s of sound give ${examples} examples, expected ${wanted}`,
    );
  }
  if (mono.every((sample) => sample === 0)) {
    findings.warning("audio", `${clip.wav}: the sound is silent throughout`);
    return undefined;
  }
  return sha256Of(mono);
}

async function checkPickle(folder: string, clip: ClipFiles, findings: Findings): Promise<void> {
  if (clip.pickle === undefined) return;
  const file = path.join(folder, clip.pickle);
  const present = await stat(file).catch(() => undefined);
  if (present === undefined) return; // the WAV file takes its place
  const { dtype, shape } = await loadTorchTensor(file);
  const [count = 0, ...example] = shape;
  if (dtype !== "f32" || count < 1 || example.join() !== "1,96,64") {
    const found = `${dtype}[${shape.join(",")}]`;
    findings.error("log-mel", `${clip.pickle}: expected f32[N,1,96,64], found ${found}`);
  } else if (count < clip.frames.length) {
    findings.warning("log-mel", `${clip.pickle}: ${count} examples, expected ${clip.frames.length}`);
  }
}
