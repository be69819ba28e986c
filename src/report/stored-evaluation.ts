/** Evaluations as `avseg eval` has written them. */
import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import * as z from "zod";
import { DatasetError } from "../errors.js";
import { soundConditions } from "../evaluation/sound-conditions.js";
import { tasks } from "../models/base-config.js";
import { readFailure } from "../node/system-error.js";

const number = z.number();
const stored = z.object({
  task: z.enum(tasks),
  batchSize: number,
  summary: z.object({ miou: number, fscore: number }),
  metrics: z.record(z.string(), number),
  clips: z.array(z.object({ id: z.string(), category: z.string(), miou: number, fscore: number.nullable() })),
  sounds: z
    .array(
      z.object({
        sound: z.enum(soundConditions),
        miou: number,
        fscore: number,
        fpr: number,
        fprOutside: number,
        miouCorrected: number,
      }),
    )
    .default([]),
  cost: z
    .object({
      parameters: number,
      flopsPerClip: number,
      secondsPerClip: number.nullable(),
      peakMemoryBytes: number,
    })
    .optional(),
  context: z.object({
    split: z.enum(["train", "val", "test"]),
    sound: z.enum(soundConditions).default("own"),
    seed: number.nullish(),
    context: z.record(z.string(), z.unknown()).default({}),
  }),
});

/** What `avseg eval` records of the model. */
const modelSchema = z.object({
  checkpoint: z.string(),
  config: z.string(),
  audioEncoder: z.string().optional(),
  set: z.array(z.string()),
});

/** The model of an evaluation: the arguments of `avseg eval`; `undefined` where it does not name them. */
export function evaluatedModel({ context }: StoredEvaluation): z.infer<typeof modelSchema> | undefined {
  return modelSchema.safeParse(context.context).data;
}

/** An evaluation of a folder. */
export interface StoredEvaluation extends z.infer<typeof stored> {
  /** What tables call it: the last part of the path that tells it from others. */
  readonly name: string;
  readonly file: string;
}

/**
 * Reads the evaluations of folders, or their `evaluation.json`. Throws `DatasetError` when a file is missing or is not
 * an evaluation, or when the evaluations are not of the same task, split, sound and clips.
 */
export async function readEvaluations(places: readonly string[]): Promise<StoredEvaluation[]> {
  const files = await Promise.all(places.map(fileOf));
  const names = namesOf(files.map((file) => path.dirname(path.resolve(file))));
  const all = await Promise.all(files.map((file, i) => readEvaluation(file, names[i] ?? file)));
  const [first, ...others] = all;
  for (const other of others) if (first) requireComparable(first, other);
  return all;
}

async function fileOf(place: string): Promise<string> {
  const status = await stat(place).catch(() => undefined);
  return status?.isDirectory() ? path.join(place, "evaluation.json") : place;
}

async function readEvaluation(file: string, name: string): Promise<StoredEvaluation> {
  const hint = "Give folders that `avseg eval` has written, e.g. with --out results/a.";
  const text = await readFile(file, "utf8").catch((cause: unknown) => {
    throw new DatasetError(`cannot read ${file}: ${readFailure(cause) ?? "it cannot be read"}`, {
      cause,
      hint,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DatasetError(`${file}: expected an evaluation, found text that is not JSON`, { cause, hint });
  }
  const { data, error } = stored.safeParse(value);
  if (data) return { ...data, name, file };
  const key = error?.issues[0]?.path.join(".") ?? "";
  throw new DatasetError(`${file}: not an evaluation of this version: "${key}" is missing or wrong`, {
    hint: "Evaluate again with `avseg eval`.",
  });
}

/** The shortest ends of paths that differ from each other. */
function namesOf(folders: readonly string[]): string[] {
  const parts = folders.map((folder) => folder.split(path.sep));
  for (let depth = 1; depth < 8; depth++) {
    const names = parts.map((list) => list.slice(-depth).join("/"));
    if (new Set(names).size === names.length) return names;
  }
  return folders.map((folder, i) => `${i + 1}: ${folder}`);
}

function requireComparable(a: StoredEvaluation, b: StoredEvaluation): void {
  const about = ({ task, context }: StoredEvaluation) =>
    `${task}, split ${context.split}, ${context.sound} sound`;
  const clips = ({ clips: list }: StoredEvaluation) =>
    list.map(({ id, category }) => `${category}/${id}`).sort();
  const fail = (found: string): never => {
    throw new DatasetError(
      `${b.file}: expected an evaluation like that of ${a.name} (${about(a)}), found ${found}`,
      {
        hint: "Evaluate all models on the same data: same task, split and --sound.",
      },
    );
  };
  if (about(a) !== about(b)) fail(about(b));
  if (clips(a).join() !== clips(b).join()) fail(`${b.clips.length} clips of other names`);
}
