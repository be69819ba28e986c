/** The clips that a report shows: the best, the middle and the worst, by mIoU. */
import type { AvsDataset } from "../datasets/clip.js";
import { openScorer } from "../evaluation/evaluate-clips.js";
import { predictClip } from "../evaluation/predict-clips.js";
import type { EvaluationResult } from "../evaluation/result.js";
import type { Predictor } from "../inference/predictor.js";
import { clipPictures } from "./clip-pictures.js";
import { formatFraction, type ReportClip, type ReportGallery } from "./report.js";

/** Positions in `result.clips` of the `count` worst, middle and best clips, none of them twice. */
export function pickShowcase(
  result: EvaluationResult,
  count: number,
): { best: number[]; typical: number[]; worst: number[] } {
  const order = result.clips.map((_, i) => i).sort((a, b) => clipMiou(result, a) - clipMiou(result, b));
  const worst = order.splice(0, Math.min(count, Math.ceil(order.length / 3)));
  const best = order.splice(Math.max(0, order.length - count)).reverse();
  const middle = Math.max(0, Math.floor((order.length - count) / 2));
  return { best, typical: order.slice(middle, middle + count), worst };
}

function clipMiou(result: EvaluationResult, index: number): number {
  return result.clips[index]?.miou ?? 0;
}

/**
 * Galleries of the best, typical and worst `count` clips of an evaluation. Their masks are predicted again,
 * so that an evaluation need not keep any. `dataset` must be the one evaluated (its clips in the same order).
 */
export async function showcase(options: {
  readonly dataset: AvsDataset;
  readonly predictor: Predictor;
  readonly result: EvaluationResult;
  readonly count?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}): Promise<ReportGallery[]> {
  const { dataset, result, count = 2 } = options;
  const pictures = async (indices: readonly number[]): Promise<ReportClip[]> => {
    const clips: ReportClip[] = [];
    for (const index of indices) clips.push(await showClip(options, index));
    return clips;
  };
  const { best, typical, worst } = pickShowcase(result, count);
  const truth =
    dataset.task === "avss" ? "every class in its color" : "ground truth in teal, prediction in orange";
  return [
    { title: "Best clips", note: `By mIoU; ${truth}.`, clips: await pictures(best) },
    { title: "Typical clips", note: "From the middle of the ranking.", clips: await pictures(typical) },
    { title: "Worst clips", note: "Where it fails.", clips: await pictures(worst) },
  ];
}

/** One clip of a dataset as a model marks it. */
export async function showClip(
  options: Pick<Parameters<typeof showcase>[0], "dataset" | "predictor" | "signal">,
  index: number,
): Promise<ReportClip> {
  const { dataset, predictor, signal } = options;
  const clip = await dataset.load(index);
  const scorer = openScorer(dataset.task, predictor.classes);
  const predicted = await predictClip(predictor, clip, signal);
  scorer.addClip(predicted);
  scorer.endBatch();
  const [row] = scorer.result(1).clips;
  const samples = await dataset.loadWaveform?.(index);
  return clipPictures(clip, predicted.masks, {
    metrics: [
      ["mIoU", formatFraction(row?.miou ?? null)],
      ["F-score", formatFraction(row?.fscore ?? null)],
    ],
    classes: dataset.task === "avss" ? dataset.classes : undefined,
    samples,
  });
}
