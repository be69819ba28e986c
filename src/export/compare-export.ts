/** What a precision costs and gains: an exported form against the full model, clip by clip, on labeled data. */
import type { AvsDataset } from "../datasets/clip.js";
import { toClipBatch } from "../datasets/clip-batch.js";
import { ClipLoader } from "../datasets/loader.js";
import { DatasetError } from "../errors.js";
import { openScorer } from "../evaluation/evaluate-clips.js";
import { predictClip } from "../evaluation/predict-clips.js";
import type { EvaluationResult } from "../evaluation/result.js";
import type { LoadedModel } from "../inference/load-model.js";
import { modelPredictor } from "../inference/model-predictor.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { sessionPredictor } from "../inference/session-predictor.js";
import type { Progress } from "../progress.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { audioFormsOf } from "./form.js";
import { type Precision, prepareExport } from "./prepare.js";

/** Options of `compareExport`. */
export interface CompareExportOptions {
  readonly source: LoadedModel;
  readonly precision: Precision;
  readonly dataset: AvsDataset;
  /** Decoding threads; see `ClipLoader`. */
  readonly workers?: number | undefined;
  /** Progress in clips; each is run through both models. */
  readonly onProgress?: ((progress: Progress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The accuracy of one of the two models. */
export interface ComparedModel {
  readonly miou: number;
  readonly fscore: number;
  /** All metrics of the evaluation; see `METRIC_NOTES`. */
  readonly metrics: EvaluationResult["metrics"];
}

/** An exported precision against the full model. */
export interface ExportComparison {
  readonly task: AvsDataset["task"];
  readonly split: AvsDataset["split"];
  readonly precision: Precision;
  readonly clips: number;
  /** Clips per batch of the evaluation, on which the published metrics of the binary tasks depend. */
  readonly batchSize: number;
  /** Mask pixels compared, and those whose class differs. */
  readonly pixels: number;
  readonly flippedPixels: number;
  readonly flippedFraction: number;
  readonly full: ComparedModel;
  readonly exported: ComparedModel;
  /** Exported minus full, in 0..1. */
  readonly miouChange: number;
  readonly fscoreChange: number;
  /** Median time of a run for one clip, in turns with the other model. */
  readonly fullSecondsPerClip: number;
  readonly exportedSecondsPerClip: number;
  /** Exported over full. */
  readonly timeRatio: number;
}

/** Every clip is a batch of its own. */
const batchSize = 1;

/** Runs of each model that are timed. */
const timedRuns = 5;

/**
 * Runs the full model and its exported form on every clip of a dataset and compares their masks and metrics. Throws
 * what `evaluate` throws, and the signal's reason when it is aborted.
 */
export async function compareExport(options: CompareExportOptions): Promise<ExportComparison> {
  const { source, precision, dataset } = options;
  const { task } = source.model.config;
  if (dataset.task !== task) {
    throw new DatasetError(`comparison: the model is for ${task}, the data for ${dataset.task}`, {
      hint: "Give data of the model's own task.",
    });
  }
  // The exported model borrows the weights; the full one takes them.
  const exported = await exportedPredictor(source, precision);
  try {
    const full = await fullPredictor(source);
    try {
      return await compare(options, full, exported);
    } finally {
      await full.close();
    }
  } finally {
    await exported.close();
  }
}

async function compare(
  { precision, dataset, workers, onProgress, signal }: CompareExportOptions,
  fullModel: Predictor,
  exportedModel: Predictor,
): Promise<ExportComparison> {
  const scorers = [fullModel, exportedModel].map(({ classes }) => openScorer(dataset.task, classes));
  const total = dataset.entries.length;
  let [clips, pixels, flippedPixels] = [0, 0, 0];
  const loader = new ClipLoader(dataset, { cacheBytes: 0, workers });
  try {
    for await (const [clip] of loader.batches({ batchSize, signal })) {
      if (clip === undefined) continue;
      const predicted = [
        await predictClip(fullModel, clip, signal),
        await predictClip(exportedModel, clip, signal),
      ] as const;
      for (const [i, scorer] of scorers.entries()) {
        const own = predicted[i];
        if (own) scorer.addClip(own);
        scorer.endBatch();
      }
      const [before, after] = predicted.map(({ masks }) => masks.data);
      if (!before || !after) throw new Error("comparison: a model gave no masks");
      pixels += before.length;
      for (let i = 0; i < before.length; i++) if (before[i] !== after[i]) flippedPixels++;
      clips++;
      onProgress?.({ done: clips, total });
    }
    signal?.throwIfAborted();
    const batch = toClipBatch([await dataset.load(0)]);
    const [fullSeconds, exportedSeconds] = await timeInTurns([fullModel, exportedModel], batch, signal);
    const [full, exported] = scorers.map((scorer): ComparedModel => {
      const { summary, metrics } = scorer.result(batchSize);
      return { ...summary, metrics };
    });
    if (!full || !exported) throw new Error("comparison: a model was not scored");
    return {
      task: dataset.task,
      split: dataset.split,
      precision,
      clips,
      batchSize,
      pixels,
      flippedPixels,
      flippedFraction: flippedPixels / pixels,
      full,
      exported,
      miouChange: exported.miou - full.miou,
      fscoreChange: exported.fscore - full.fscore,
      fullSecondsPerClip: fullSeconds,
      exportedSecondsPerClip: exportedSeconds,
      timeRatio: exportedSeconds / fullSeconds,
    };
  } finally {
    await loader.close();
  }
}

/** Median seconds of a run of each model: in turns, so that a busy machine slows both alike. */
async function timeInTurns(
  models: readonly [Predictor, Predictor],
  batch: ClipBatch,
  signal: AbortSignal | undefined,
): Promise<readonly [number, number]> {
  const times: [number[], number[]] = [[], []];
  for (let k = 0; k < timedRuns; k++) {
    for (const i of [0, 1] as const) {
      signal?.throwIfAborted();
      const start = performance.now();
      await models[i].predict(batch);
      times[i].push((performance.now() - start) / 1000);
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
  return [median(times[0]), median(times[1])];
}

async function fullPredictor(source: LoadedModel): Promise<Predictor> {
  const runtime = nodeRuntime();
  const predictor = await modelPredictor({ ...source, runtime });
  return { ...predictor, close: () => runtime.close() };
}

/** The exported graph for one clip, run as its file would be. */
async function exportedPredictor({ model, store }: LoadedModel, precision: Precision): Promise<Predictor> {
  const runtime = nodeRuntime();
  const [audio] = audioFormsOf(model.config);
  const form = { clips: 1, frames: "u8", audio } as const;
  const weights = await store.lend(model.specs.map(({ key }) => key));
  const stored = await prepareExport({ model, weights, form, precision, runtime });
  const session = await runtime.createSession({ ...stored, name: "exported model" });
  const { inputs } = stored.graph;
  const predictor = sessionPredictor({ session, inputs, config: model.config, clipsPerRun: form.clips });
  return { ...predictor, close: () => runtime.close() };
}
