/** What a precision costs and gains: an exported form against the full model, clip by clip, on labelled data. */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import type { AvsDataset } from "../datasets/clip.js";
import { toClipBatch } from "../datasets/clip-batch.js";
import { ClipLoader } from "../datasets/loader.js";
import { DatasetError } from "../errors.js";
import { evaluate } from "../evaluation/evaluate.js";
import type { EvaluationResult } from "../evaluation/result.js";
import type { LoadedModel } from "../inference/load-model.js";
import { modelPredictor } from "../inference/model-predictor.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { asF32, type TensorOf } from "../tensor.js";
import { type Precision, prepareExport } from "./prepare.js";

/** Options of `calibrate`. */
export interface CalibrateOptions {
  readonly source: LoadedModel;
  readonly precision: Precision;
  readonly dataset: AvsDataset;
  /** Decoding threads; see `ClipLoader`. */
  readonly workers?: number | undefined;
  /** Clips done of the clips in all; each is run through both models. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** How one of the two models did. */
export interface CalibratedModel {
  readonly miou: number;
  readonly fscore: number;
  /** All figures of the evaluation; see `FIGURE_NOTES`. */
  readonly figures: EvaluationResult["figures"];
}

/** An exported precision against the full model. */
export interface CalibrationReport {
  readonly task: AvsDataset["task"];
  readonly split: AvsDataset["split"];
  readonly precision: Precision;
  readonly clips: number;
  /** Clips per batch of the evaluation, on which the published figures of the binary tasks depend. */
  readonly batchSize: number;
  /** Mask pixels compared, and those whose class differs. */
  readonly pixels: number;
  readonly flippedPixels: number;
  readonly flippedShare: number;
  readonly full: CalibratedModel;
  readonly exported: CalibratedModel;
  /** Exported minus full, in 0..1. */
  readonly miouChange: number;
  readonly fscoreChange: number;
  /** Median time of a run for one clip, in turns with the other model. */
  readonly fullSecondsPerClip: number;
  readonly exportedSecondsPerClip: number;
  /** Exported over full. */
  readonly timeRatio: number;
}

/** Masks are compared clip by clip. */
const batchSize = 1;

/** Runs of each model that are timed. */
const timedRuns = 5;

/**
 * Evaluates the full model and its exported form on a dataset, and compares their masks. Throws what `evaluate`
 * throws, and the signal's reason when it is aborted.
 */
export async function calibrate(options: CalibrateOptions): Promise<CalibrationReport> {
  const { source, precision, dataset } = options;
  const { task } = source.model.config;
  if (dataset.task !== task) {
    throw new DatasetError(`calibration: the model is for ${task}, the data for ${dataset.task}`, {
      hint: "give data of the model's own task",
    });
  }
  const full = await fullPredictor(source);
  try {
    const exported = await exportedPredictor(source, precision);
    try {
      return await compare(options, full, exported);
    } finally {
      await exported.close();
    }
  } finally {
    await full.close();
  }
}

async function compare(
  options: CalibrateOptions,
  fullModel: Predictor,
  exportedModel: Predictor,
): Promise<CalibrationReport> {
  const { precision, dataset } = options;
  // Masks of the full model, packed: a dataset's masks would fill the memory, and pack a hundredfold. They are told
  // apart by their place, as a table may repeat a name.
  const masks: Uint8Array[] = [];
  const full = await score(options, fullModel, 0, (mask) => {
    masks.push(deflateRawSync(mask));
  });
  let clip = 0;
  let pixels = 0;
  let flippedPixels = 0;
  const exported = await score(options, exportedModel, 1, (mask) => {
    const before = inflateRawSync(masks[clip++] ?? new Uint8Array());
    pixels += mask.length;
    for (let i = 0; i < mask.length; i++) if (mask[i] !== before[i]) flippedPixels++;
  });
  const batch = toClipBatch([await dataset.load(0)]);
  const [fullSeconds, exportedSeconds] = await timeInTurns([fullModel, exportedModel], batch, options.signal);
  return {
    task: dataset.task,
    split: dataset.split,
    precision,
    clips: dataset.entries.length,
    batchSize,
    pixels,
    flippedPixels,
    flippedShare: flippedPixels / pixels,
    full,
    exported,
    miouChange: exported.miou - full.miou,
    fscoreChange: exported.fscore - full.fscore,
    fullSecondsPerClip: fullSeconds,
    exportedSecondsPerClip: exportedSeconds,
    timeRatio: exportedSeconds / fullSeconds,
  };
}

/** Evaluates one of the two, `pass` 0 or 1; masks are given in the order of the dataset. */
async function score(
  { dataset, workers, onProgress, signal }: CalibrateOptions,
  predictor: Predictor,
  pass: number,
  onMask: (mask: Uint8Array) => void,
): Promise<CalibratedModel> {
  const total = dataset.entries.length;
  const loader = new ClipLoader(dataset, { cacheBytes: 0, workers });
  try {
    const { headline, figures } = await evaluate({
      predictor,
      task: dataset.task,
      clips: loader.batches({ batchSize, signal }),
      total,
      batchSize,
      onMasks: (_, { data }) => onMask(data),
      onProgress: ({ done }) => onProgress?.((pass * total + done) / 2, total),
      signal,
    });
    return { ...headline, figures };
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
async function exportedPredictor(source: LoadedModel, precision: Precision): Promise<Predictor> {
  const { frameCount, imageSize, classes } = source.model.config;
  const runtime = nodeRuntime();
  const form = { clips: 1, frames: "u8", audio: "log-mel" } as const;
  const { model, store } = source;
  const weights = await store.lend(model.specs.map(({ key }) => key));
  const stored = await prepareExport({ model, weights, form, precision, runtime });
  const session = await runtime.createSession({ ...stored, name: "exported model" });
  return {
    frameCount,
    imageSize,
    classes,
    async predict({ frames, logMel, frameMask }): Promise<TensorOf<"f32">> {
      const { logits } = await session.run({ frames, logMel, frameMask }, ["logits"]);
      if (logits === undefined) throw new Error("calibration: the exported model gave no logits");
      return asF32(logits, "logits");
    },
    close: () => runtime.close(),
  };
}
