/**
 * An evaluation with its files: metrics, tables, masks and report; resumable after an interruption.
 */
import path from "node:path";
import type { AvsDataset } from "../datasets/clip.js";
import { ClipLoader } from "../datasets/loader.js";
import type { Cost } from "../evaluation/cost.js";
import type { EvaluationProgress } from "../evaluation/evaluate-clips.js";
import { maskWriter } from "../evaluation/mask-writer.js";
import type { EvaluationResult } from "../evaluation/result.js";
import { evaluateResumable, fingerprintOf, removeState } from "../evaluation/resume.js";
import { robustnessRows, type SoundResult } from "../evaluation/robustness.js";
import { type SoundCondition, soundNotes, withSound } from "../evaluation/sound-conditions.js";
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
  /** Clips per batch: the published binary metrics are averages over batches. */
  readonly batchSize: number;
  readonly outDir: string;
  /**
   * What else decides the result and documents what was evaluated: the hashes of the checkpoint, its encoders
   * and all settings. An interrupted evaluation is resumed only if all of this is the same.
   */
  readonly context: Readonly<Record<string, unknown>>;
  /**
   * The kinds of sound to evaluate with, one after the other. The metrics, masks and report of the first are those of
   * the folder; the others' are in folders of their names below it. Default: the clips' own.
   */
  readonly sounds?: readonly SoundCondition[] | undefined;
  /** What the model costs, asked for at the end; written beside the metrics. */
  readonly cost?: (() => Cost) | undefined;
  /** Decides swapped sounds, other classes and noise. Default: 123. */
  readonly seed?: number | undefined;
  /** Writes the predicted masks below `outDir/pred_masks`. */
  readonly saveMasks?: boolean | undefined;
  /** Writes `outDir/report.html`, with these parts added. */
  readonly report?: (ReportParts | ((results: readonly SoundResult[]) => ReportParts)) | undefined;
  /** Decoding threads; see `ClipLoader`. */
  readonly workers?: number | undefined;
  /** Clips are counted over all kinds of sound. */
  readonly onProgress?:
    | ((progress: EvaluationProgress & { readonly sound: SoundCondition }) => void)
    | undefined;
  /** Called with the number of clips that an interrupted run had scored with a kind of sound. */
  readonly onResume?: ((clips: number, sound: SoundCondition) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What an evaluation gives. */
export interface Evaluation {
  /** The result with the first kind of sound. */
  readonly result: EvaluationResult;
  /** The results with all kinds of sound, in their order. */
  readonly results: readonly SoundResult[];
  /** The files written into the folder itself. */
  readonly files: readonly string[];
}

/** A run's options, with what it runs on. */
interface Run extends RunEvaluationOptions {
  readonly predictor: Predictor;
  readonly dataset: AvsDataset;
}

/**
 * Evaluates a model on a dataset and writes into `outDir`: `evaluation.json`, the tables (see `writeResult`),
 * masks and report if asked for. The folder is locked meanwhile. Throws what `evaluate` throws, `LockedError` when
 * another process writes into the folder, and `OutputError` when a file cannot be written.
 *
 * @example
 * const dataset = await openDataset({ task: "s4", root: "data", split: "test", imageSize: model.imageSize });
 * const context = { checkpoint: "best.safetensors" };
 * const { result } = await runEvaluation(model, dataset, { batchSize: 4, outDir: "results", context, report: {} });
 * console.log(result.summary.miou);
 */
export async function runEvaluation(
  model: Predictor,
  dataset: AvsDataset,
  options: RunEvaluationOptions,
): Promise<Evaluation> {
  const { outDir } = options;
  const otherwise = "choose another folder with --out";
  return withLock(lockInside(outDir), { what: outDir, task: "avseg eval", otherwise }, (lock) =>
    runLocked({ ...options, predictor: model, dataset }, lock),
  );
}

async function runLocked(options: Run, lock: Lock): Promise<Evaluation> {
  const { outDir, sounds = ["own"], seed } = options;
  // The datasets first: a kind of sound that this data does not have is refused before the model runs.
  const runs = sounds.map((sound) => ({ sound, dataset: withSound(options.dataset, { sound, seed }) }));
  const results: SoundResult[] = [];
  for (const [i, run] of runs.entries()) {
    results.push({ sound: run.sound, result: await evaluateSound(options, { ...run, done: i, lock }) });
  }
  const [first] = results;
  if (first === undefined) throw new RangeError("evaluation: expected at least one kind of sound");
  const files: string[] = [];
  for (const [i, { sound, result }] of results.entries()) {
    const folder = i === 0 ? outDir : path.join(outDir, sound);
    const written = await writeResult(folder, result, {
      context: identityOf(options, sound),
      cost: options.cost?.(),
      sounds: i === 0 && results.length > 1 ? robustnessRows(results) : undefined,
    });
    if (i === 0) files.push(...written);
  }
  if (options.report) files.push(await writeReport(options, runs[0]?.dataset ?? options.dataset, results));
  for (const { sound } of runs) await removeState(stateFile(outDir, sound));
  return { result: first.result, results, files };
}

/** What decides a result, besides the clips. */
function identityOf({ context, dataset, batchSize, seed }: Run, sound: SoundCondition) {
  const { task, split } = dataset;
  return { context, task, split, batchSize, sound, seed: sound === "own" ? undefined : (seed ?? null) };
}

function stateFile(outDir: string, sound: SoundCondition): string {
  return path.join(outDir, sound === "own" ? ".evaluation-state.json" : `.evaluation-state-${sound}.json`);
}

/** Evaluates with one kind of sound, resumably; its state is kept until all of them are written. */
async function evaluateSound(
  options: Run,
  run: {
    readonly sound: SoundCondition;
    readonly dataset: AvsDataset;
    /** Kinds of sound before this one. */
    readonly done: number;
    readonly lock: Lock;
  },
): Promise<EvaluationResult> {
  const { predictor, batchSize, outDir, workers, signal, sounds = ["own"] } = options;
  const { sound, dataset, done, lock } = run;
  const { task, entries } = dataset;
  const loader = new ClipLoader(dataset, { cacheBytes: 0, workers });
  const saveMasks = options.saveMasks === true && done === 0;
  try {
    return await evaluateResumable({
      predictor,
      task,
      batchSize,
      total: entries.length,
      clipsFrom: (first) => loader.batches({ batchSize, startBatch: Math.ceil(first / batchSize), signal }),
      stateFile: stateFile(outDir, sound),
      keepState: true,
      lock,
      fingerprint: fingerprintOf({ format: 2, ...identityOf(options, sound), entries, masks: saveMasks }),
      onMasks: saveMasks ? maskWriter(outDir, task) : undefined,
      onProgress: (progress) =>
        options.onProgress?.({
          ...progress,
          sound,
          done: done * entries.length + progress.done,
          total: sounds.length * entries.length,
        }),
      onResume: (clips) => options.onResume?.(clips, sound),
      signal,
    });
  } finally {
    await loader.close();
  }
}

async function writeReport(
  { predictor, outDir, report = {}, context, signal }: Run,
  dataset: AvsDataset,
  results: readonly SoundResult[],
): Promise<string> {
  const [first] = results;
  if (first === undefined) throw new RangeError("report: expected at least one result");
  const { sound, result } = first;
  const soundNote = sound === "own" ? "" : `, with ${soundNotes[sound].note}`;
  const described = Object.entries(context).map(([name, value]): [string, string] => [name, String(value)]);
  const page = renderReport(
    evaluationReport(result, {
      sounds: robustnessRows(results),
      title: `${dataset.task.toUpperCase()} evaluation`,
      lead: `${result.clips.length} clips of the ${dataset.split} split${soundNote}.`,
      galleries: await showcase({
        dataset,
        predictor,
        result,
        signal,
      }),
      environment: describeEnvironment(described),
      ...(typeof report === "function" ? report(results) : report),
    }),
  );
  const file = path.join(outDir, "report.html");
  await writeFileAtomic(file, page);
  return file;
}
