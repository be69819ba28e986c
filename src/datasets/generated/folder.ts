/** The folder of a generated dataset: its manifest, and what may be replaced. */
import { readdir, readFile, rm } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { OutputError } from "../../errors.js";
import { asOutputError } from "../../node/system-error.js";

/** How a generator marks its folders. */
export interface GeneratedFolder {
  /** Name of the manifest in the folder. */
  readonly manifestName: string;
  /** Name of the generator in its manifests. */
  readonly generator: string;
}

/** A manifest as text. */
export function formatManifest(manifest: Readonly<Record<string, unknown>>): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/** The text of a file, or `undefined` when it cannot be read. */
export async function readTextIfAny(file: string): Promise<string | undefined> {
  return readFile(file, "utf8").catch(() => undefined);
}

/**
 * Removes an earlier dataset of the generator and returns whether it was complete. Throws `OutputError` for a folder
 * with other data.
 */
export async function clearGenerated(
  folder: string,
  { manifestName, generator }: GeneratedFolder,
): Promise<boolean> {
  const held = await readdir(folder).catch(() => []);
  if (held.length === 0) return false;
  const own = z.object({ generator: z.literal(generator), complete: z.boolean() });
  let text: unknown;
  try {
    text = JSON.parse((await readTextIfAny(path.join(folder, manifestName))) ?? "");
  } catch {
    text = undefined;
  }
  const found = own.safeParse(text);
  if (!found.success) {
    throw new OutputError(`${folder}: expected an empty folder or ${generator}, found other data`, {
      hint: "Choose another root, or remove the folder.",
    });
  }
  // The manifest is replaced last: until then it marks the folder as ours.
  try {
    for (const name of held) {
      if (name !== manifestName) await rm(path.join(folder, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw asOutputError(error, folder);
  }
  return found.data.complete;
}
