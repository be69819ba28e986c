/** Paths of files: those of the package, and those made of untrusted names. */
import { existsSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { OutputError } from "../errors.js";

/** The folder of the package, from the one that this code lies in: `dist/src/node`, or `dist/bin` in a bundle. */
function findPackage(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, "package.json")) && path.dirname(folder) !== folder) {
    folder = path.dirname(folder);
  }
  return folder;
}

const packageFolder = findPackage();

/** The path of a file of the package, e.g. `packagePath("config", "s4", "pvt2.yaml")`. */
export function packagePath(...parts: string[]): string {
  return path.resolve(packageFolder, ...parts);
}

/** The address of a compiled module, for a thread or a process of its own: `moduleUrl("datasets/loader-worker.js")`. */
export function moduleUrl(file: string): URL {
  return pathToFileURL(packagePath("dist", "src", file));
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
