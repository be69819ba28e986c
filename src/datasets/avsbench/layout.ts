/**
 * AVSBench's folders: where a row of the metadata table keeps its frames, masks and sound.
 * All paths are relative to the task's folder and use forward slashes.
 */
import { DatasetError } from "../../errors.js";
import type { Split, Task } from "../clip.js";
import type { Table, TableRow } from "./table.js";

/** Names of the files of a task. */
export interface TaskLayout {
  /** The folder of the task below the root of AVSBench. */
  readonly folder: string;
  /** The metadata table in that folder, with its required columns. */
  readonly table: string;
  readonly columns: readonly string[];
  /** Steps per clip, T. */
  readonly frameCount: number;
}

/** The published layouts. */
export const layouts: Readonly<Record<Task, TaskLayout>> = {
  s4: {
    folder: "Single-source",
    table: "s4_meta_data.csv",
    columns: ["name", "category", "split"],
    frameCount: 5,
  },
  ms3: { folder: "Multi-sources", table: "ms3_meta_data.csv", columns: ["name", "split"], frameCount: 5 },
  avss: { folder: "AVSS", table: "metadata.csv", columns: ["uid", "split", "label"], frameCount: 10 },
};

/** File in the folder of AVSS that maps class names to indices. */
export const labelFile = "label2idx.json";

/** The files of one clip, relative to the task's folder. */
export interface ClipFiles {
  readonly id: string;
  /** Category (S4), subset (AVSS) or `""` (MS3). */
  readonly category: string;
  readonly split: Split;
  /** Names of what sounds in the clip; empty where the table does not say so. */
  readonly sounds: readonly string[];
  /** Line of the metadata table that names the clip. */
  readonly line: number;
  readonly frames: readonly string[];
  /** The mask of each frame; `undefined` where the task has none (S4 and v1s in training). */
  readonly masks: readonly (string | undefined)[];
  readonly wav: string;
  /** A pickled log-mel, which is used instead of the WAV file; AVSS has none. */
  readonly pickle: string | undefined;
}

const splits: readonly string[] = ["train", "val", "test"] satisfies Split[];

/** Frames of the clips of each AVSS subset. */
const subsetFrames: Readonly<Record<string, number>> = { v1s: 5, v1m: 5, v2: 10 };

/** The files of every row. Throws `DatasetError` for a row with an invalid name, split or subset. */
export function filesOfTable(task: Task, table: Table): ClipFiles[] {
  return table.rows.map((row) => filesOfRow(task, row, table.source));
}

/** The files of one row. Throws `DatasetError` for a row with an invalid name, split or subset. */
export function filesOfRow(task: Task, row: TableRow, source: string): ClipFiles {
  const where = `${source} line ${row.line}`;
  const value = (column: string): string => {
    const text = row.values[column] ?? "";
    if (text === "" || text.startsWith(".") || /[/\\\0]/.test(text)) {
      throw new DatasetError(`${where}: ${column} is ${JSON.stringify(text)}, expected a plain file name`, {
        hint: "Correct the row, or remove it.",
      });
    }
    return text;
  };
  const split = value("split");
  if (!splits.includes(split)) {
    throw new DatasetError(`${where}: split is "${split}", expected train, val or test`, {
      hint: "Correct the row, or remove it.",
    });
  }
  const files = pathsOf[task](value, split as Split, row.line, where);
  return { ...files, sounds: task === "s4" ? [files.category] : soundsOf(row) };
}

/** The names of what sounds by a row of AVSS's table, or of one of MS3 that has its column `a_obj`. */
export function soundsOf({ values }: TableRow): string[] {
  return (values.a_obj ?? "").split("_").filter((name) => name !== "");
}

/**
 * The files of a clip, as for a row of AVSBench's tables.
 * `category` is the category (S4), the subset (AVSS), or ignored (MS3).
 */
export function filesOf(task: Task, clip: { id: string; category: string; split: Split }): ClipFiles {
  const values = { name: clip.id, uid: clip.id, category: clip.category, label: clip.category };
  return filesOfRow(task, { line: 0, values: { ...values, split: clip.split } }, "");
}

type Paths = (
  value: (column: string) => string,
  split: Split,
  line: number,
  where: string,
) => Omit<ClipFiles, "sounds">;

const pathsOf: Record<Task, Paths> = {
  s4: (value, split, line) => {
    const id = value("name");
    const category = value("category");
    const place = `${split}/${category}/${id}`;
    return {
      id,
      category,
      split,
      line,
      frames: numbered(5, (i) => `s4_data/visual_frames/${place}/${id}_${i + 1}.png`),
      masks: numbered(5, (i) =>
        split === "train" && i > 0 ? undefined : `s4_data/gt_masks/${place}/${id}_${i + 1}.png`,
      ),
      wav: `s4_data/audio_wav/${place}.wav`,
      pickle: `s4_data/audio_log_mel/${place}.pkl`,
    };
  },
  ms3: (value, split, line) => {
    const id = value("name");
    return {
      id,
      category: "",
      split,
      line,
      frames: numbered(5, (i) => `ms3_data/visual_frames/${id}/${id}.mp4_${i + 1}.png`),
      masks: numbered(5, (i) => `ms3_data/gt_masks/${split}/${id}/${id}_${i + 1}.png`),
      wav: `ms3_data/audio_wav/${split}/${id}.wav`,
      pickle: `ms3_data/audio_log_mel/${split}/${id}.pkl`,
    };
  },
  avss: (value, split, line, where) => {
    const id = value("uid");
    const subset = value("label");
    const frameCount = subsetFrames[subset];
    if (frameCount === undefined) {
      throw new DatasetError(`${where}: label is "${subset}", expected v1s, v1m or v2`, {
        hint: "Correct the row, or remove it.",
      });
    }
    const onlyFirst = subset === "v1s" && split === "train";
    return {
      id,
      category: subset,
      split,
      line,
      frames: numbered(frameCount, (i) => `${subset}/${id}/frames/${i}.jpg`),
      masks: numbered(frameCount, (i) =>
        onlyFirst && i > 0 ? undefined : `${subset}/${id}/labels_rgb/${i}.png`,
      ),
      wav: `${subset}/${id}/audio.wav`,
      pickle: undefined,
    };
  },
};

function numbered<T>(count: number, item: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => item(i));
}
