/** An evaluation's tables as CSV text (RFC 4180). */
import { formatTable } from "../datasets/avsbench/table.js";
import { type EvaluationResult, namedMetrics } from "../evaluation/result.js";
import type { RobustnessRow } from "../evaluation/robustness.js";

type Cell = string | number | null;

/** Every metric: `name,label,protocol,value,explanation`. */
export function metricsCsv(result: EvaluationResult): string {
  return csv(
    ["name", "label", "protocol", "value", "explanation"],
    namedMetrics(result).map((f) => [f.name, f.label, f.protocol, f.value, f.explanation]),
  );
}

/** One row per category. */
export function categoriesCsv(result: EvaluationResult): string {
  return csv(
    ["category", "clips", "frames", "miou", "fscore"],
    result.categories.map((row) => [row.category, row.clips, row.frames, row.miou, row.fscore]),
  );
}

/** One row per clip, in the dataset's order. */
export function clipsCsv(result: EvaluationResult): string {
  return csv(
    ["clip", "category", "frames", "miou", "fscore"],
    result.clips.map((row) => [row.id, row.category, row.frames, row.miou, row.fscore]),
  );
}

/** One row per class (AVSS); `undefined` for the binary tasks. */
export function classesCsv(result: EvaluationResult): string | undefined {
  if (result.task !== "avss") return undefined;
  return csv(
    ["class", "name", "frames", "iouPerImage", "fscorePerImage", "iouPooled", "fscorePooled"],
    result.classes.map((row) => [
      row.index,
      row.name,
      row.frames,
      row.iouPerImage,
      row.fscorePerImage,
      row.iouPooled,
      row.fscorePooled,
    ]),
  );
}

/** One row per kind of sound. */
export function soundsCsv(rows: readonly RobustnessRow[]): string {
  return csv(
    ["sound", "miou", "fscore", "fpr", "fprOutside", "miouCorrected"],
    rows.map((row) => [row.sound, row.miou, row.fscore, row.fpr, row.fprOutside, row.miouCorrected]),
  );
}

function csv(header: readonly string[], rows: readonly (readonly Cell[])[]): string {
  return formatTable(
    header,
    rows.map((row) => row.map((cell) => String(cell ?? ""))),
  );
}
