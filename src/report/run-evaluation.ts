/**
 * An evaluation with its files: metrics, tables, masks and report; resumable after an interruption.
 */
import path from "node:path";
import type { AvsDataset } from "../datasets/clip.js";
import { ClipLoader } from "../datasets/loader.js";
import type { EvaluationProgress } from "../evaluation/evaluate-clips.js";
import { maskWriter } from "../evaluation/mask-writer.js";
import type { EvaluationResult } from "../evaluation/result.js";
import { evaluateResumable, fingerprintOf } from "../evaluation/resume.js";
import { withSwappedSounds } from "../evaluation/swap-sounds.js";
import type { Predictor } from "../inference/predictor.js";
import { writeFileAtomic } from "../node/files.js";
import { type Lock, lockInside, withLock } from "../node/lock.js";
import { describeEnvironment } from "./environment.js";
import { evaluationReport } from "./evaluation-report.js";
import { renderReport } from "./render-report.js";
import type { Report } from "./report.js";
import { showcase } from "./showcase.js";
import { writeResult } from "./write-result.js";

/** What a caller may add to the report of an evaluation. */
export type ReportParts = Partial<Pick<Report, "title" | "lead" | "tiles" | "charts" | "environment">>;

/** Options of `runEvaluation`. */
export interface RunEvaluationOptions {
  readonly predictor: Predictor;
  readonly dataset: AvsDataset;
  /** Clips per batch: the published binary metrics are averages over batches. */
  readonly batchSize: number;
  readonly outDir: string;
  /**
   * What else decides the result and documents what was evaluated: the hashes of the checkpoint, its encoders
   * and all settings. An interrupted evaluation is resumed only if all of this is the same.
   */
  readonly context: Readonly<Record<string, unknown>>;
  /** Gives every clip the sound of another, drawn by this seed. */
  readonly swapSounds?: number | undefined;
  /** Writes the predicted masks below `outDir/pred_masks`. */
  readonly saveMasks?: boolean | undefined;
  /** Writes `outDir/report.html`, with these parts added. */
  readonly report?: (ReportParts | ((result: EvaluationResult) => ReportParts)) | undefined;
  /** Decoding threads; see `ClipLoader`. */
  readonly workers?: number | undefined;
  readonly onProgress?: ((progress: EvaluationProgress) => void) | undefined;
  /** Called with the number of clips that an interrupted run had scored. */
  readonly onResume?: ((clips: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Evaluates a model on a dataset and writes into `outDir`: `evaluation.json`, the tables (see `writeResult`),
 * masks and report if asked for. The folder is locked meanwhile. Throws what `evaluate` throws, `LockedError` when
 * another process writes into the folder, and `OutputError` when a file cannot be written.
 */
export async function runEvaluation(
  options: RunEvaluationOptions,
): Promise<{ readonly result: EvaluationResult; readonly files: readonly string[] }> {
  const { outDir } = options;
  const otherwise = "choose another folder with --out";
  return withLock(lockInside(outDir), { what: outDir, task: "avseg eval", otherwise }, (lock) =>
    runLocked(options, lock),
  );
}

async function runLocked(options: RunEvaluationOptions, lock: Lock): ReturnType<typeof runEvaluation> {
  const { predictor, batchSize, outDir, context, swapSounds, workers, signal } = options;
  const dataset = swapSounds === undefined ? options.dataset : withSwappedSounds(options.dataset, swapSounds);
  const { task, split, entries } = dataset;
  const loader = new ClipLoader(dataset, { cacheBytes: 0, workers });
  try {
    const identity = { context, task, split, batchSize, swapSounds: swapSounds ?? null };
    const result = await evaluateResumable({
      predictor,
      task,
      batchSize,
      total: entries.length,
      clipsFrom: (first) => loader.batches({ batchSize, startBatch: first / batchSize, signal }),
      stateFile: path.join(outDir, ".evaluation-state.json"),
      lock,
      fingerprint: fingerprintOf({ ...identity, entries, masks: options.saveMasks === true }),
      ...(options.saveMasks && { onMasks: maskWriter(outDir, task) }),
      onProgress: options.onProgress,
      onResume: options.onResume,
      signal,
    });
    const files = await writeResult(outDir, result, identity);
    if (options.report) files.push(await writeReport(options, dataset, result));
    return { result, files };
  } finally {
    await loader.close();
  }
}

async function writeReport(
  { predictor, outDir, report = {}, context, swapSounds, signal }: RunEvaluationOptions,
  dataset: AvsDataset,
  result: EvaluationResult,
): Promise<string> {
  const swapped = swapSounds === undefined ? "" : ", with the sound of another clip";
  const described = Object.entries(context).map(([name, value]): [string, string] => [name, String(value)]);
  const page = renderReport(
    evaluationReport(result, {
      title: `${dataset.task.toUpperCase()} evaluation`,
      lead: `${result.clips.length} clips of the ${dataset.split} split${swapped}.`,
      galleries: await showcase({
        dataset,
        predictor,
        result,
        signal,
      }),
      environment: describeEnvironment(described),
      ...(typeof report === "function" ? report(result) : report),
    }),
  );
  const file = path.join(outDir, "report.html");
  await writeFileAtomic(file, page);
  return file;
}
