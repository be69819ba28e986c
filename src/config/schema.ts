/**
 * The schema of configurations. Every key is checked and unknown keys are refused; the defaults are those of the
 * published recipe. Keys are camelCase; `published.ts` has the names of the published files.
 */
import * as z from "zod";
import { count, expecting, flag, fraction, integer, oneOf, section } from "../fields.js";
import { audioConfigFields, audioNames } from "../models/audio-encoder.js";
import { imageSizeSchema, publishedFrameCount, type Task, tasks } from "../models/model-config.js";
import { modelKinds, systemOf, systemSections, systems } from "../models/systems.js";
import { visualConfigFields, visualNames } from "../models/visual-encoder.js";
import { providerChoices } from "../runtime/providers.js";
import { augmentSchema } from "./augment-schema.js";

const positive = expecting("a positive number", (e) => z.number(e).positive(e));
const nonNegative = expecting("a number, 0 or more", (e) => z.number(e).min(0, e));
const countFromZero = integer(0, 1e9);
const file = expecting("a path", (e) => z.string(e).min(1, e));

const defaultVisual = "pvt-v2-b5";

const visual = section({
  ...visualConfigFields,
  /** `pvt-v2` is a PVTv2 of sizes given here: `dims`, `depths`, `mlpRatios`, and `heads` and `reductions`. */
  kind: expecting(`one of ${visualNames.join(", ")}`, (e) => z.enum(visualNames, e)).default(defaultVisual),
  /** Pretrained encoder (torch or safetensors); `null` starts from random weights. */
  weights: file.nullable().default(null),
  /** First epoch in which the encoder is trained, too, counted from 0; -1: never. */
  freezeEpochs: expecting("an integer, -1 (never) or more", (e) => z.number(e).int(e).min(-1, e)).default(-1),
});

const audio = section({
  ...audioConfigFields.vggish,
  ...audioConfigFields.aisfx,
  /** What embeds the sound. aiSFX is for general sound effects; only SeaVS takes it. */
  kind: expecting(`one of ${audioNames.join(", ")}`, (e) => z.enum(audioNames, e)).default("vggish"),
  weights: file.nullable().default(null),
  /** Whether the audio encoder is trained, too (published: never). */
  train: flag.default(false),
  /** File with `pca_eigen_vectors` and `pca_means`; `null` leaves embeddings unchanged. */
  pca: file.nullable().default(null),
});

const losses = section({
  dice: nonNegative.default(0),
  focal: nonNegative.default(0),
  bce: nonNegative.default(0),
  crossEntropy: nonNegative.default(0),
  /** TPAVI, MS3 and AVSS: the masked maps of each stage match the audio. */
  matching: nonNegative.default(0),
  /** AVSegFormer: dice of the mask feature alone. */
  mix: nonNegative.default(0),
  /** SeaVS with `model.concepts`, S4: sounds and cells are given the clip's category. */
  concepts: nonNegative.default(0),
});

const optimizer = section({
  kind: oneOf(["adamw", "adam", "sgd"]).default("adamw"),
  learningRate: positive.default(6e-5),
  /** Default: 0.01 for AdamW, else 0, as in PyTorch. */
  weightDecay: nonNegative.optional(),
  betas: expecting("two numbers below 1", (e) => z.tuple([fraction, fraction], e).readonly()).default([
    0.9, 0.999,
  ]),
  eps: positive.default(1e-8),
  momentum: fraction.default(0),
  nesterov: flag.default(false),
});

const training = section({
  epochs: count(),
  optimizer: optimizer.prefault({}),
  schedule: section({
    kind: oneOf(["constant", "cosine"]).default("constant"),
    warmupSteps: countFromZero.default(0),
    finalFraction: fraction.default(0),
  }).prefault({}),
  losses,
  /** Batches per step: their gradients are summed, as if `data.batchSize` were as many times larger. */
  accumulate: count().default(1),
  /**
   * Clips whose gradients are computed at once, where no batch statistics need the whole batch. 1 takes the least memory,
   * and makes results the same, to the bit, for any number of processes; more can be faster for small models.
   */
  clipsAtOnce: count().default(1),
  /** Computes activations of the visual encoder again for their gradients: less memory for more time. */
  recompute: flag.default(false),
  /** Largest L2 norm of all gradients together; larger ones are scaled down to it. `null`: no limit. */
  clipNorm: positive.nullable().default(null),
  /** Decay of an average of the weights, which is what evaluation and export use; see `MovingAverage`. `null`: none. */
  ema: fraction.nullable().default(null),
  /** Random changes of the clips. Default: none, as published. */
  augment: augmentSchema.prefault({}),
  seed: integer(0, 4_294_967_295).default(123),
  /** First epoch, counted from 0, after which the model is evaluated. */
  evaluateFrom: countFromZero,
  evaluateEvery: count().default(1),
  /** The metric that makes a checkpoint the best, both as published: mIoU, or the mean of mIoU and F. */
  selectBy: oneOf(["miou", "miou+f"]).default("miou"),
  /** Split on which epochs are compared. The published S4 file says `test`, which leaks. */
  valSplit: oneOf(["val", "test", "train"]).default("val"),
  /** A checkpoint to start from (fine-tuning). */
  init: file.nullable().default(null),
  /** Maximum time between checkpoints within an epoch. */
  checkpointEverySeconds: positive.default(300),
  checkpointEverySteps: count().nullable().default(null),
});

const data = section({
  /** The AVSBench folder, or the folder of the task within it. */
  root: file.default("data"),
  imageSize: imageSizeSchema,
  batchSize: count().default(4),
  /** Clips per batch of the test split, on which the published averages depend. `null`: `batchSize`. */
  testBatchSize: count().nullable().default(null),
  /** Decoding threads; 0 decodes on the main thread. Default: by the number of cores. */
  workers: integer(0, 256).nullable().default(null),
  /** Source of the log-mels: `.pkl` files, `.wav` files, or (`auto`) the `.pkl` file if there is one. */
  audio: oneOf(["auto", "pkl", "wav"]).default("auto"),
  /** Whether embeddings of a frozen audio encoder are cached for later runs, in the cache folder of `avseg weights`. */
  audioCache: flag.default(true),
  /** Steps per clip. */
  frameCount: count(),
});

/** The configuration, after the defaults of its task and encoder are filled in. */
export const configSchema = section({
  task: oneOf(tasks),
  /** Free text, e.g. the purpose of the run. */
  description: z.string("text").default(""),
  model: section({
    /** The system: this library's own, or another published one. */
    kind: expecting(`one of ${modelKinds.join(", ")}`, (e) => z.enum(modelKinds, e)).default("seavs"),
    visual: visual.prefault({}),
    audio: audio.prefault({}),
    /** Each system's own sections, e.g. `messenger` and `decoder`. */
    ...systemSections,
    /** Output classes; `null` takes them from the dataset (one logit for the binary tasks). */
    classes: count().nullable().default(null),
  }),
  data,
  training,
  runtime: section({
    provider: oneOf(providerChoices).default("cpu"),
    threads: count().nullable().default(null),
  }).prefault({}),
  /** Folder for checkpoints, logs and metrics. Default: `work_dir/<task>/<file name>`. */
  workDir: file.nullable().default(null),
});

/** A complete configuration. */
export type Config = z.infer<typeof configSchema>;

type Section = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** `value` with `defaults` for its missing keys; anything but a section is returned unchanged. */
function under(value: unknown, defaults: Section): unknown {
  if (value === undefined || value === null) return defaults;
  return isSection(value) ? { ...defaults, ...value } : value;
}

/** Fills in the defaults that depend on the system, the task and the encoder (published recipes). */
export function withRecipe(raw: unknown): unknown {
  if (!isSection(raw)) return raw;
  const task = tasks.find((name) => name === raw.task) ?? "s4";
  const model = under(raw.model, {});
  const kind = (isSection(model) && modelKinds.find((name) => name === model.kind)) || "seavs";
  const visual = String((isSection(model) && isSection(model.visual) && model.visual.kind) || defaultVisual);
  const {
    optimizer,
    batchSize,
    imageSize,
    freezeEpochs,
    sections: _,
    ...training
  } = systemOf(kind).recipe(task, visual);
  const trained = under(renamed(raw.training), training);
  return {
    ...raw,
    model: isSection(model)
      ? {
          ...model,
          ...publishedSections(model, task, visual),
          visual: under(model.visual, defined({ freezeEpochs })),
        }
      : model,
    data: under(raw.data, defined({ frameCount: publishedFrameCount[task], batchSize, imageSize })),
    training:
      isSection(trained) && optimizer
        ? { ...trained, optimizer: under(trained.optimizer, optimizer) }
        : trained,
  };
}

/** The training section of an earlier version, with the present names of its keys. */
function renamed(training: unknown): unknown {
  if (!isSection(training) || !isSection(training.schedule) || !("finalShare" in training.schedule)) {
    return training;
  }
  const { finalShare: finalFraction, ...schedule } = training.schedule;
  return { ...training, schedule: { ...schedule, finalFraction } };
}

/** The sections of all systems whose published settings differ from the schema's, completed with them. */
function publishedSections(model: Section, task: Task, visual: string): Section {
  const published = systems.flatMap(({ recipe }) => Object.entries(recipe(task, visual).sections ?? {}));
  return Object.fromEntries(published.map(([name, settings]) => [name, under(model[name], settings)]));
}

/** The entries that have a value. */
function defined(entries: Section): Section {
  return Object.fromEntries(Object.entries(entries).filter(([, value]) => value !== undefined));
}
