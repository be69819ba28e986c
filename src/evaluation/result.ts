/** What an evaluation yields, and what each of its metrics means. */
import * as z from "zod";
import type { Task } from "../datasets/clip.js";

/** Metrics of the binary tasks, all in 0..1 but the counts. See `METRIC_NOTES` for what each is. */
export interface BinaryMetrics {
  readonly miouPublishedPerBatch: number;
  readonly fscorePublishedPerBatch: number;
  readonly jAndFPublished: number;
  readonly miouPerFrame: number;
  readonly fscorePerFrame: number;
  readonly jAndFPerFrame: number;
  readonly fscoreThreshold: number;
  readonly fscoreAtHalf: number;
  readonly regionJ: number;
  readonly contourF: number;
  readonly regionJAndContourF: number;
  readonly fprPublishedPerBatch: number;
  readonly fprOutside: number;
  readonly frames: number;
  readonly framesWithObject: number;
}

/** Metrics of the semantic task, all in 0..1 but the counts. See `METRIC_NOTES` for what each is. */
export interface SemanticMetrics {
  readonly miouPublished: number;
  readonly fscorePublished: number;
  readonly miouPublishedNoBackground: number;
  readonly fscorePublishedNoBackground: number;
  readonly miouPaddedNoBackground: number;
  readonly fscorePaddedNoBackground: number;
  readonly miouPerImage: number;
  readonly fscorePerImage: number;
  readonly miouPerImageNoBackground: number;
  readonly fscorePerImageNoBackground: number;
  readonly miouPooled: number;
  readonly fscorePooled: number;
  readonly miouPooledNoBackground: number;
  readonly fscorePooledNoBackground: number;
  readonly fprPerImage: number;
  readonly fprOutside: number;
  readonly frames: number;
  readonly paddedFrames: number;
  readonly classesCounted: number;
}

/** One clip's metrics. */
export const clipRowSchema = z
  .object({
    id: z.string(),
    category: z.string(),
    /** Frames scored (padded ones are not). */
    frames: z.number(),
    /** Binary: mean published IoU of its frames. AVSS: mean over its classes of the IoU per image. */
    miou: z.number(),
    /** The F-score likewise; `null` where no frame has an object. */
    fscore: z.number().nullable(),
  })
  .readonly();
/** One clip's metrics. */
export type ClipRow = z.infer<typeof clipRowSchema>;

/** One category's metrics, by the same averages as `ClipRow` over all its frames. */
export interface CategoryRow {
  readonly category: string;
  readonly clips: number;
  readonly frames: number;
  readonly miou: number;
  readonly fscore: number | null;
}

/** One class's metrics (AVSS), over real frames; `null` where it occurs in neither truth nor prediction. */
export interface ClassRow {
  readonly index: number;
  readonly name: string;
  readonly frames: number;
  readonly iouPerImage: number | null;
  readonly fscorePerImage: number | null;
  readonly iouPooled: number | null;
  readonly fscorePooled: number | null;
}

/** What results of all tasks have. */
export interface ResultBase {
  /** Clips per batch: the published binary metrics depend on it. */
  readonly batchSize: number;
  /** The two metrics that the published evaluation prints, by which checkpoints are selected. */
  readonly summary: { readonly miou: number; readonly fscore: number };
  readonly categories: readonly CategoryRow[];
  readonly clips: readonly ClipRow[];
}

/** Everything that an evaluation measured. Plain data: it is written as JSON as it is. */
export type EvaluationResult =
  | (ResultBase & { readonly task: Exclude<Task, "avss">; readonly metrics: BinaryMetrics })
  | (ResultBase & {
      readonly task: "avss";
      readonly metrics: SemanticMetrics;
      readonly classes: readonly ClassRow[];
    });

/** The name of any metric. */
export type MetricName = keyof BinaryMetrics | keyof SemanticMetrics;

/** How a metric is averaged: as the published code does, as it should be, or a count. */
export type Protocol = "published" | "corrected" | "count";

/** What a metric is called in print, which protocol it follows, and how it is computed. */
export interface MetricNote {
  readonly label: string;
  readonly protocol: Protocol;
  readonly explanation: string;
}

/** Notes on every metric, in the order in which they are shown. */
export const METRIC_NOTES: Readonly<Record<MetricName, MetricNote>> = {
  miouPublishedPerBatch: {
    label: "mIoU, per batch",
    protocol: "published",
    explanation:
      "Mean over batches of each batch's mean IoU; depends on the batch size where the last is smaller.",
  },
  fscorePublishedPerBatch: {
    label: "F-score, per batch",
    protocol: "published",
    explanation:
      "Best of 255 thresholds chosen for each batch anew, averaged over batches; depends on the batch size.",
  },
  jAndFPublished: {
    label: "J&F, per batch",
    protocol: "published",
    explanation: "Mean of the two metrics above.",
  },
  miouPerFrame: {
    label: "mIoU, per frame",
    protocol: "corrected",
    explanation: "Mean over all frames of the IoU; a frame without object scores on its background.",
  },
  fscorePerFrame: {
    label: "F-score, per frame",
    protocol: "corrected",
    explanation:
      "Averaged over all frames with an object, at the one threshold that is best for the whole dataset.",
  },
  jAndFPerFrame: {
    label: "J&F, per frame",
    protocol: "corrected",
    explanation: "Mean of the two metrics above.",
  },
  fscoreThreshold: {
    label: "Threshold of the F-score",
    protocol: "corrected",
    explanation: "Probability at which the F-score per frame is reached.",
  },
  fscoreAtHalf: {
    label: "F-score of the masks",
    protocol: "corrected",
    explanation: "F-score at probability 0.5, that is of the masks that are written: no threshold is tuned.",
  },
  regionJ: {
    label: "J (region)",
    protocol: "corrected",
    explanation:
      "Mean IoU of the object; 1 where neither truth nor prediction has one, 0 where only one has.",
  },
  contourF: {
    label: "F (contour)",
    protocol: "corrected",
    explanation:
      "F-score of the outlines, within 0.8% of the image's diagonal, as in video object segmentation.",
  },
  regionJAndContourF: {
    label: "J&F (region, contour)",
    protocol: "corrected",
    explanation: "Mean of the two metrics above.",
  },
  miouPublished: {
    label: "mIoU",
    protocol: "published",
    explanation: "Per image, padded frames included; classes that occur nowhere count as 0.",
  },
  fscorePublished: {
    label: "F-score",
    protocol: "published",
    explanation: "As the mIoU: per image, padded frames included, absent classes 0.",
  },
  miouPublishedNoBackground: {
    label: "mIoU, “no background”",
    protocol: "published",
    explanation: "Drops the last class by mistake; background is class 0 and stays in.",
  },
  fscorePublishedNoBackground: {
    label: "F-score, “no background”",
    protocol: "published",
    explanation: "Drops the last class by mistake; background is class 0 and stays in.",
  },
  miouPaddedNoBackground: {
    label: "mIoU with padding, without background",
    protocol: "corrected",
    explanation: "As published, but class 0 is what is dropped.",
  },
  fscorePaddedNoBackground: {
    label: "F-score with padding, without background",
    protocol: "corrected",
    explanation: "As published, but class 0 is what is dropped.",
  },
  miouPerImage: {
    label: "mIoU per image",
    protocol: "corrected",
    explanation: "Per image over real frames only, mean over the classes that occur.",
  },
  fscorePerImage: {
    label: "F-score per image",
    protocol: "corrected",
    explanation: "Per image over real frames only, mean over the classes that occur.",
  },
  miouPerImageNoBackground: {
    label: "mIoU per image, without background",
    protocol: "corrected",
    explanation: "Likewise, without class 0.",
  },
  fscorePerImageNoBackground: {
    label: "F-score per image, without background",
    protocol: "corrected",
    explanation: "Likewise, without class 0.",
  },
  miouPooled: {
    label: "mIoU, pooled",
    protocol: "corrected",
    explanation:
      "Pixels of all real frames counted together, as later papers report; never compare it with per-image metrics.",
  },
  fscorePooled: {
    label: "F-score, pooled",
    protocol: "corrected",
    explanation: "Precision and recall of the pixels of all real frames together.",
  },
  miouPooledNoBackground: {
    label: "mIoU, pooled, without background",
    protocol: "corrected",
    explanation: "Likewise, without class 0.",
  },
  fscorePooledNoBackground: {
    label: "F-score, pooled, without background",
    protocol: "corrected",
    explanation: "Likewise, without class 0.",
  },
  fprPublishedPerBatch: {
    label: "FPR, per batch",
    protocol: "published",
    explanation:
      "Fraction of a frame's pixels that are marked, averaged over batches: the false-positive rate of AVSBench-Robust, for sounds that belong to nothing in view. With a clip's own sound it is the size of the masks.",
  },
  fprPerImage: {
    label: "FPR per image",
    protocol: "corrected",
    explanation:
      "Fraction of a real frame's pixels that have another class than background: the false-positive rate of AVSBench-Robust, which has no semantic task, for sounds that belong to nothing in view.",
  },
  fprOutside: {
    label: "FPR outside of objects",
    protocol: "corrected",
    explanation: "Fraction of the pixels outside of the true objects that are marked, averaged over frames.",
  },
  frames: { label: "Frames", protocol: "count", explanation: "Frames scored, padded ones not counted." },
  framesWithObject: {
    label: "Frames with an object",
    protocol: "count",
    explanation: "Those that the F-scores average.",
  },
  paddedFrames: {
    label: "Padded frames",
    protocol: "count",
    explanation: "Frames added to reach the model's length: in the published metrics only.",
  },
  classesCounted: {
    label: "Classes that occur",
    protocol: "count",
    explanation: "In truth or prediction of a real frame.",
  },
};

/** The names of all metrics, in the order of `METRIC_NOTES`. */
export const METRIC_NAMES = Object.keys(METRIC_NOTES) as readonly MetricName[];

/** A result's metrics in the order of `METRIC_NOTES`, each with its note. */
export function namedMetrics(
  result: EvaluationResult,
): (MetricNote & { readonly name: MetricName; readonly value: number })[] {
  const values = new Map<string, number>(Object.entries(result.metrics));
  return METRIC_NAMES.flatMap((name) => {
    const value = values.get(name);
    return value === undefined ? [] : [{ name, value, ...METRIC_NOTES[name] }];
  });
}
