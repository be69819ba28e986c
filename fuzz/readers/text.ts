/** Tables, class names and configurations. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { loadConfig } from "../../src/config/load.js";
import { type ClipFiles, filesOfRow, labelFile, layouts } from "../../src/datasets/avsbench/layout.js";
import { readClassNames, readText } from "../../src/datasets/avsbench/open-dataset.js";
import { formatTable, parseTable } from "../../src/datasets/avsbench/table.js";
import type { Clip, Task } from "../../src/datasets/clip.js";
import { maskWriter } from "../../src/evaluation/mask-writer.js";
import { full } from "../../src/tensor.js";
import { publishedConfig } from "../../test/published-configs.js";
import { root } from "../../test/support.js";
import { mutateJson } from "../mutate/json.js";
import { mutateText } from "../mutate/text.js";
import { type Reader, readAnyOf } from "../reader.js";

const tasks = ["s4", "ms3", "avss"] as const satisfies readonly Task[];

/** Rows of a table of each task, some of them quoted. */
const tables: Readonly<Record<Task, string>> = {
  s4: formatTable(
    ["name", "start", "category", "split"],
    [
      ["-5dsxM_zuyM", "30", "ambulance_siren", "train"],
      ["a b,c", "0", "cat_meowing", "val"],
      ['quote"d', "1", "dog", "test"],
    ],
  ),
  ms3: formatTable(
    ["name", "split"],
    [
      ["x_1", "train"],
      ["y_2", "test"],
    ],
  ),
  avss: formatTable(
    ["vid", "uid", "s_min", "s_sec", "a_obj", "split", "label"],
    [
      ["v", "v_0", "0", "5", "dog_cat", "train", "v1s"],
      ["w", "w_1", "0", "10", "bell", "test", "v2"],
    ],
  ),
};

const csv: Reader = {
  name: "csv",
  fileName: "input.csv",
  seeds: async () => tasks.map((task) => Buffer.from(tables[task])),
  mutate: mutateText,
  async read(file) {
    const text = await readText(file);
    await readAnyOf(tasks.map((task) => () => readTask(task, text, file)));
  },
};

/** Reads the table of a task, and writes masks under the names that it gives. */
async function readTask(task: Task, text: string, file: string): Promise<void> {
  const table = parseTable(text, { source: file, required: layouts[task].columns, onFault: () => undefined });
  const clips = table.rows.map((row) => filesOfRow(task, row, file));
  const write = maskWriter(path.join(path.dirname(file), "masks"), task);
  for (const clip of clips.slice(0, 1)) await write(clipOf(clip), mask); // synced to disk, which takes time
}

const mask = { dtype: "u8", shape: [1, 2, 2], data: Uint8Array.of(0, 1, 1, 0) } as const;

function clipOf({ id, category }: ClipFiles): Clip {
  const one = full([1], 1);
  return {
    id,
    category,
    frames: { dtype: "u8", shape: [1, 2, 2, 3], data: new Uint8Array(12) },
    logMel: full([1, 1, 96, 64]),
    masks: mask,
    labeled: [0],
    frameMask: one,
  };
}

const labels: Reader = {
  name: "labels",
  fileName: labelFile,
  seeds: async () => [
    Buffer.from(JSON.stringify({ background: 0, accordion: 1, airplane: 2, "a b": 3 }, null, 1)),
  ],
  mutate: mutateJson,
  async read(file) {
    await readClassNames(path.dirname(file));
  },
};

const yaml: Reader = {
  name: "yaml",
  fileName: "input.yaml",
  seeds: () =>
    Promise.all(
      tasks.flatMap((task) =>
        ["pvt2", "res50"].map((name) => readFile(path.join(root, "config", task, `${name}.yaml`))),
      ),
    ),
  mutate: mutateText,
  async read(file) {
    await loadConfig(file);
  },
};

const python: Reader = {
  name: "python",
  fileName: "input.py",
  seeds: async () =>
    tasks.flatMap((task) =>
      (["pvt2", "res50"] as const).map((encoder) => Buffer.from(publishedConfig(task, encoder))),
    ),
  mutate: mutateText,
  async read(file) {
    await loadConfig(file);
  },
};

/** Readers of text formats. */
export const textReaders: readonly Reader[] = [csv, labels, yaml, python];
