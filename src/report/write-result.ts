/** An evaluation's figures and tables on disk. */
import path from "node:path";
import { type EvaluationResult, FIGURE_NOTES, namedFigures } from "../evaluation/result.js";
import { writeFileAtomic } from "../node/files.js";
import { categoriesCsv, classesCsv, clipsCsv, figuresCsv } from "./tables.js";

/**
 * Writes `evaluation.json` (everything, with a note on every figure and `context`: checkpoint, dataset, ...),
 * `figures.csv`, `per-category.csv`, `per-clip.csv` and, for AVSS, `per-class.csv` into `outDir`. Returns the
 * paths written. Throws `OutputError`.
 */
export async function writeResult(
  outDir: string,
  result: EvaluationResult,
  context: Readonly<Record<string, unknown>> = {},
): Promise<string[]> {
  const notes = Object.fromEntries(namedFigures(result).map(({ name }) => [name, FIGURE_NOTES[name]]));
  const files: [name: string, text: string | undefined][] = [
    ["figures.csv", figuresCsv(result)],
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
