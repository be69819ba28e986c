/** An evaluation's metrics and tables on disk. */
import path from "node:path";
import type { Cost } from "../evaluation/cost.js";
import { type EvaluationResult, METRIC_NOTES, namedMetrics } from "../evaluation/result.js";
import type { RobustnessRow } from "../evaluation/robustness.js";
import { writeFileAtomic } from "../node/files.js";
import { categoriesCsv, classesCsv, clipsCsv, metricsCsv, soundsCsv } from "./tables.js";

/** What is written beside a result. */
export interface ResultParts {
  /** What was evaluated: checkpoint, dataset, ... */
  readonly context?: Readonly<Record<string, unknown>> | undefined;
  /** What the model costs. */
  readonly cost?: Cost | undefined;
  /** The metrics with several kinds of sound. */
  readonly sounds?: readonly RobustnessRow[] | undefined;
}

/**
 * Writes `evaluation.json` (everything, with a note on every metric), `metrics.csv`, `per-category.csv`, `per-clip.csv`,
 * for AVSS `per-class.csv`, and where there are several kinds of sound `sounds.csv` into `outDir`. Returns the paths
 * written. Throws `OutputError`.
 */
export async function writeResult(
  outDir: string,
  result: EvaluationResult,
  { context = {}, cost, sounds }: ResultParts = {},
): Promise<string[]> {
  const notes = Object.fromEntries(namedMetrics(result).map(({ name }) => [name, METRIC_NOTES[name]]));
  const files: [name: string, text: string | undefined][] = [
    ["metrics.csv", metricsCsv(result)],
    ["per-category.csv", categoriesCsv(result)],
    ["per-clip.csv", clipsCsv(result)],
    ["per-class.csv", classesCsv(result)],
    ["sounds.csv", sounds && soundsCsv(sounds)],
    ["evaluation.json", `${JSON.stringify({ ...result, sounds, cost, context, notes }, null, 2)}\n`],
  ];
  const written: string[] = [];
  for (const [name, text] of files) {
    if (text === undefined) continue;
    const file = path.join(outDir, name);
    await writeFileAtomic(file, text);
    written.push(file);
  }
  return written;
}
