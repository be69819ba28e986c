/** An evaluation's metrics and tables on disk. */
import path from "node:path";
import { type EvaluationResult, METRIC_NOTES, namedMetrics } from "../evaluation/result.js";
import { writeFileAtomic } from "../node/files.js";
import { categoriesCsv, classesCsv, clipsCsv, metricsCsv } from "./tables.js";

/**
 * Writes `evaluation.json` (everything, with a note on every metric and `context`: checkpoint, dataset, ...),
 * `metrics.csv`, `per-category.csv`, `per-clip.csv` and, for AVSS, `per-class.csv` into `outDir`. Returns the
 * paths written. Throws `OutputError`.
 */
export async function writeResult(
  outDir: string,
  result: EvaluationResult,
  context: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const notes = Object.fromEntries(namedMetrics(result).map(({ name }) => [name, METRIC_NOTES[name]]));
  const files: [name: string, text: string | undefined][] = [
    ["metrics.csv", metricsCsv(result)],
    ["per-category.csv", categoriesCsv(result)],
    ["per-clip.csv", clipsCsv(result)],
    ["per-class.csv", classesCsv(result)],
    ["evaluation.json", `${JSON.stringify({ ...result, context, notes }, null, 2)}\n`],
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
