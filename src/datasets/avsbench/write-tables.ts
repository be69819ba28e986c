/** Writes the metadata table of a dataset and, for AVSS, the names of the classes. */
import path from "node:path";
import { writeFileAtomic } from "../../node/files.js";
import type { Task } from "../clip.js";
import { type ClipFiles, labelFile, layouts } from "./layout.js";
import { formatTable } from "./table.js";

/** A clip as a row of the table. */
export interface ClipRow extends Pick<ClipFiles, "id" | "category" | "split"> {
  /** What sounds in the clip, names joined by `_`; S4 has its category instead. */
  readonly sounding: string;
}

const columns: Readonly<Record<Task, Readonly<Record<string, (clip: ClipRow) => string>>>> = {
  s4: { name: ({ id }) => id, start: () => "0", category: (c) => c.category, split: (c) => c.split },
  ms3: { name: ({ id }) => id, split: (c) => c.split, a_obj: (c) => c.sounding },
  avss: {
    vid: ({ id }) => id,
    uid: ({ id }) => id,
    s_min: () => "0",
    s_sec: () => "0",
    a_obj: (c) => c.sounding,
    split: (c) => c.split,
    label: (c) => c.category,
  },
};

/**
 * Writes the tables into the folder of a task; `classes` are those of AVSS, background first. The metadata table is
 * written last, since a dataset cannot be opened without it. Throws `OutputError`.
 */
export async function writeTables(
  folder: string,
  task: Task,
  { clips, classes }: { readonly clips: readonly ClipRow[]; readonly classes: readonly string[] },
): Promise<void> {
  if (task === "avss") {
    const indices = Object.fromEntries(classes.map((name, index) => [name, index]));
    await writeFileAtomic(path.join(folder, labelFile), `${JSON.stringify(indices)}\n`);
  }
  const rows = clips.map((clip) => Object.values(columns[task]).map((value) => value(clip)));
  const table = formatTable(Object.keys(columns[task]), rows);
  await writeFileAtomic(path.join(folder, layouts[task].table), table);
}
