/** Files of results: `bench/results/<date>-<name>.json`. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

/** The repository. */
export const root = path.resolve(import.meta.dirname, "..", "..");

/** Today, as files of results are named. */
export const today = (): string => new Date().toISOString().slice(0, 10);

/** Writes a file of results; returns its path. */
export function writeResults(name: string, results: object): string {
  const file = path.join(root, "bench", "results", `${today()}-${name}.json`);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  return file;
}

/** Adds sections to today's file of that name, so that a long measurement can be made in parts; returns its path. */
export function addToResults(name: string, sections: Readonly<Record<string, unknown>>): string {
  const file = path.join(root, "bench", "results", `${today()}-${name}.json`);
  let before: object = {};
  try {
    before = JSON.parse(readFileSync(file, "utf8"));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  }
  return writeResults(name, { ...before, ...sections });
}
