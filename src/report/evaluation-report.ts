/** An evaluation's result as a report. */
import { type EvaluationResult, namedMetrics, type Protocol } from "../evaluation/result.js";
import { fallOf, type RobustnessRow } from "../evaluation/robustness.js";
import { soundNotes } from "../evaluation/sound-conditions.js";
import {
  formatFraction,
  type Report,
  type ReportBars,
  type ReportCurves,
  type ReportGallery,
  type ReportTable,
  type ReportTile,
} from "./report.js";

/** What one epoch of training recorded: a checkpoint's history is a list of these. */
export interface ChartedEpoch {
  /** 0 for the first. */
  readonly epoch: number;
  /** Mean training loss. */
  readonly loss: number;
  /** Metrics on the validation split, `miou` and `fscore` among them, where the epoch was evaluated. */
  readonly validation?: Readonly<Record<string, number>> | undefined;
}

/** The two charts of a training: loss and validation, with the best epoch marked. */
export function trainingCharts(options: {
  readonly epochs: readonly ChartedEpoch[];
  /** Loss of every step, if known: drawn in place of the epochs' means. */
  readonly stepLosses?: readonly (readonly [step: number, loss: number])[] | undefined;
  /** 0 for the first, as in `ChartedEpoch`. */
  readonly bestEpoch?: number | undefined;
}): ReportCurves[] {
  const { epochs, stepLosses, bestEpoch } = options;
  const validated = (name: "miou" | "fscore"): [number, number][] =>
    epochs.flatMap(({ epoch, validation }) => {
      const value = validation?.[name];
      return value === undefined ? [] : [[epoch + 1, value]];
    });
  const marks = bestEpoch === undefined ? [] : [{ x: bestEpoch + 1, label: "best" }];
  return [
    {
      kind: "curves",
      title: "Training loss",
      xLabel: stepLosses ? "step" : "epoch",
      series: [
        stepLosses
          ? { name: "loss", points: stepLosses, smooth: true }
          : { name: "loss", points: epochs.map(({ epoch, loss }): [number, number] => [epoch + 1, loss]) },
      ],
    },
    {
      kind: "curves",
      title: "Validation",
      xLabel: "epoch",
      series: [
        { name: "mIoU", points: validated("miou") },
        { name: "F-score", points: validated("fscore") },
      ],
      marks,
    },
  ];
}

/** Bars that compare mIoU with several kinds of sound. */
function soundsChart(rows: readonly RobustnessRow[]): ReportBars {
  const fall = fallOf(rows, "swapped") ?? fallOf(rows, "other-class");
  const sentence =
    fall === undefined
      ? ""
      : fall >= 0
        ? ` With the sound of another clip the mIoU falls by ${Math.round(fall * 100)}%.`
        : " With the sound of another clip the mIoU does not fall.";
  return {
    kind: "bars",
    title: "Does it listen?",
    bars: rows.map(({ sound, miou, fpr }) => ({
      label: soundNotes[sound].label,
      value: miou,
      note: `mIoU, ${soundNotes[sound].note}; marked ${formatFraction(fpr)} of a frame`,
    })),
    caption: `Same frames, same masks.${sentence}`,
  };
}

/** The same as a table. */
function soundsTable(rows: readonly RobustnessRow[]): ReportTable {
  return {
    title: "By sound",
    note: "Ground truth is that of the clips' own sound: with any other, lower is better. FPR is the false-positive rate of AVSBench-Robust, the fraction of a frame's pixels that are marked; with the own sound it is the size of the masks.",
    columns: ["Sound", "mIoU", "F-score", "FPR", "FPR outside of objects", "What the clips get"],
    rows: rows.map(({ sound, miou, fscore, fpr, fprOutside }) => [
      soundNotes[sound].label,
      miou,
      fscore,
      fpr,
      fprOutside,
      soundNotes[sound].note,
    ]),
    meters: [1, 2, 3, 4],
  };
}

/**
 * The tiles, charts and tables of an evaluation; add what else was measured, pictures and the environment.
 */
export function evaluationReport(
  result: EvaluationResult,
  options: {
    readonly title: string;
    readonly lead: string;
    /** The metrics with several kinds of sound: a chart and a table compare them. */
    readonly sounds?: readonly RobustnessRow[] | undefined;
    readonly tiles?: readonly ReportTile[] | undefined;
    readonly charts?: Report["charts"] | undefined;
    readonly galleries?: readonly ReportGallery[] | undefined;
    readonly environment: Report["environment"];
  },
): Report {
  const sounds = options.sounds !== undefined && options.sounds.length > 1 ? options.sounds : [];
  const compared = sounds.length > 0;
  return {
    title: options.title,
    lead: options.lead,
    tiles: [...summaryTiles(result), ...(options.tiles ?? [])],
    charts: [...(options.charts ?? []), ...(compared ? [soundsChart(sounds)] : []), distribution(result)],
    galleries: options.galleries ?? [],
    tables: [
      ...(compared ? [soundsTable(sounds)] : []),
      metricsTable(result),
      ...categoryTable(result),
      ...classTable(result),
      clipTable(result),
    ],
    environment: options.environment,
  };
}

function summaryTiles({ summary, clips, batchSize, task }: EvaluationResult): ReportTile[] {
  const note = task === "avss" ? "published, per image" : `published, batches of ${batchSize}`;
  const frames = clips.reduce((sum, clip) => sum + clip.frames, 0);
  return [
    { label: "mIoU", value: formatFraction(summary.miou), note },
    { label: "F-score", value: formatFraction(summary.fscore), note },
    { label: "Clips", value: String(clips.length), note: `${frames} frames` },
  ];
}

/** Clips sorted by mIoU: how even the result is. */
function distribution({ clips }: EvaluationResult): ReportCurves {
  const sorted = clips.map((clip) => clip.miou).sort((a, b) => a - b);
  return {
    kind: "curves",
    title: "mIoU of all clips, from worst to best",
    xLabel: "clips (%)",
    series: [
      {
        name: "best clip", // a line's name stands beside its last value
        points: sorted.map((miou, i): [number, number] => [(100 * (i + 1)) / sorted.length, miou]),
      },
    ],
  };
}

const protocolText: Readonly<Record<Protocol, string>> = {
  published: "published",
  corrected: "corrected",
  count: "",
};

function metricsTable(result: EvaluationResult): ReportTable {
  return {
    title: "Every metric, and what it is",
    note: "“Published” metrics repeat the published evaluation, flaws included, to compare with its tables; “corrected” ones fix them. Compare like with like only.",
    columns: ["Metric", "Value", "Protocol", "How it is computed"],
    rows: namedMetrics(result).map((f) => [f.label, f.value, protocolText[f.protocol], f.explanation]),
  };
}

function categoryTable({ categories }: EvaluationResult): ReportTable[] {
  if (categories.length < 2) return [];
  return [
    {
      title: "By category",
      columns: ["Category", "Clips", "Frames", "mIoU", "F-score"],
      rows: [...categories]
        .sort((a, b) => b.miou - a.miou)
        .map((row) => [row.category, row.clips, row.frames, row.miou, row.fscore]),
      meters: [3, 4],
    },
  ];
}

function classTable(result: EvaluationResult): ReportTable[] {
  if (result.task !== "avss") return [];
  return [
    {
      title: "By class",
      note: "Classes that occur, over real frames.",
      columns: ["Class", "Frames", "IoU per image", "F-score per image", "IoU pooled", "F-score pooled"],
      rows: result.classes
        .filter((row) => row.frames > 0)
        .map((row) => [
          row.name,
          row.frames,
          row.iouPerImage,
          row.fscorePerImage,
          row.iouPooled,
          row.fscorePooled,
        ]),
      meters: [2, 3, 4, 5],
    },
  ];
}

function clipTable({ clips }: EvaluationResult): ReportTable {
  return {
    title: "By clip",
    note: `${clips.length} clips, worst first`,
    columns: ["Clip", "Category", "Frames", "mIoU", "F-score"],
    rows: [...clips]
      .sort((a, b) => a.miou - b.miou)
      .map((row) => [row.id, row.category, row.frames, row.miou, row.fscore]),
    meters: [3, 4],
    collapsed: true,
  };
}
