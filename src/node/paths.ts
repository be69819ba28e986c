/** Paths of files: those of the package, and those made of untrusted names. */
import { existsSync } from "node:fs";
import path from "node:path";
import { OutputError } from "../errors.js";

/** The path of a file of the package, e.g. `packagePath("config", "s4", "pvt2.yaml")`. */
export function packagePath(...parts: string[]): string {
  return path.resolve(import.meta.dirname, "..", "..", "..", ...parts);
}

/** `file` if it exists, else the file of the package with that path; `undefined` when neither exists. */
export function ownOrShipped(file: string): string | undefined {
  return [file, packagePath(file)].find((candidate) => existsSync(candidate));
}

/**
 * The path `outDir/part/part/...`, for parts from untrusted input (a clip's name in a table).
 * Throws `OutputError` when it would lie outside `outDir`, or be `outDir` itself.
 */
export function safeJoin(outDir: string, ...parts: string[]): string {
  const base = path.resolve(outDir);
  const target = path.resolve(base, ...parts.map((p) => `./${p}`));
  const relative = path.relative(base, target);
  const leaves = relative === "" || relative === ".." || relative.startsWith(`..${path.sep}`);
  if (leaves || path.isAbsolute(relative) || parts.some((p) => p.includes("\0"))) {
    const name = JSON.stringify(parts.join("/"));
    throw new OutputError(`the name ${name} leads out of the output folder ${outDir}`, {
      hint: "Correct the name in the file that it comes from.",
    });
  }
  return path.join(outDir, relative);
}
