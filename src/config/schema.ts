/**
 * What a configuration holds. Every key is checked and unknown keys are refused; every default is the
 * published recipe's. Keys are camelCase; see `published.ts` for the names of the published files.
 */
import { z } from "zod";

/** A schema whose every complaint reads `expected <what>`. */
function expecting<S>(what: string, make: (message: string) => S): S {
  return make(what);
}

const positive = expecting("a positive number", (e) => z.number(e).positive(e));
const nonNegative = expecting("a number, 0 or more", (e) => z.number(e).min(0, e));
const share = expecting("a number from 0 up to, not including, 1", (e) => z.number(e).min(0, e).lt(1, e));
const count = expecting("a whole number, 1 to 1000000000", (e) => z.number(e).int(e).min(1, e).max(1e9, e));
const countFromZero = expecting("a whole number, 0 to 1000000000", (e) =>
  z.number(e).int(e).min(0, e).max(1e9, e),
);
const flag = expecting("true or false", (e) => z.boolean(e));
const file = expecting("a path", (e) => z.string(e).min(1, e));
const fourCounts = expecting("four whole numbers, 1 or more", (e) =>
  z.tuple([count, count, count, count], e).readonly(),
);
const oneOf = <const V extends readonly [string, ...string[]]>(values: V) =>
  expecting(`one of ${values.join(", ")}`, (e) => z.enum(values, e));
const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape, "a section of keys");

/** The visual encoders that have a name. */
export const visualKinds = [
  "pvt-v2-b0",
  "pvt-v2-b1",
  "pvt-v2-b2",
  "pvt-v2-b3",
  "pvt-v2-b4",
  "pvt-v2-b5",
  "resnet50",
  "pvt-v2",
] as const;

const visual = section({
  /** `pvt-v2` is a PVTv2 of one's own sizes: `dims`, `depths`, `heads`, `mlpRatios`, `reductions`. */
  kind: oneOf(visualKinds).default("pvt-v2-b5"),
  /** Pretrained encoder (torch or safetensors); `null` starts from random weights. */
  weights: file.nullable().default(null),
  /** Epoch from which the encoder trains too, counted from 0; -1 never. */
  freezeEpochs: expecting("a whole number, -1 (never) or more", (e) => z.number(e).int(e).min(-1, e)).default(
    -1,
  ),
  /** Low-rank adapters on `q` and the value half of `kv`. */
  lora: section({ rank: count.default(32) })
    .nullable()
    .default(null),
  /** Drop-path rate of the last block; it rises linearly from 0. */
  dropPath: share.default(0.1),
  /** ResNet: use and keep the running statistics in training (published: batch statistics). */
  freezeBatchNorm: flag.default(false),
  dims: fourCounts.optional(),
  depths: fourCounts.optional(),
  heads: fourCounts.optional(),
  mlpRatios: fourCounts.optional(),
  reductions: fourCounts.optional(),
});

const audio = section({
  weights: file.nullable().default(null),
  /** Channels of the six convolutions. */
  widths: expecting("six whole numbers, 1 or more", (e) =>
    z.tuple([count, count, count, count, count, count], e).readonly(),
  ).default([64, 128, 256, 256, 512, 512]),
  /** Width of the two hidden linear layers. */
  hidden: count.default(4096),
  /** Whether the audio encoder trains too (published: never). */
  train: flag.default(false),
  /** File with `pca_eigen_vectors` and `pca_means`; `null` leaves embeddings as they are. */
  pca: file.nullable().default(null),
});

const messenger = section({
  queries: count.default(5),
  width: count.default(128),
  heads: count.default(8),
  /** T, the frames that one Audio-Visual Temporal Fusion spans. */
  frames: count.default(5),
  dropout: share.default(0.1),
});

const decoder = section({
  /** Fuse after a 1x1 convolution to `convDim` (published for ResNet-50) instead of before it. */
  project: flag,
  /** Channel attention in place of the cross-attention to the audio. */
  channel: flag.default(false),
  convDim: count.default(256),
  heads: count.default(8),
  reductions: fourCounts.default([8, 4, 2, 1]),
  dropout: share.default(0.1),
  /** Sine position encoding in the spatial attention (none in the published files). */
  positionEncoding: flag.default(false),
});

const losses = section({
  dice: nonNegative.default(0),
  focal: nonNegative.default(0),
  bce: nonNegative.default(0),
  crossEntropy: nonNegative.default(0),
});

const optimizer = section({
  kind: oneOf(["adamw", "adam", "sgd"]).default("adamw"),
  learningRate: positive.default(6e-5),
  /** 0.01 for AdamW, else 0, as in PyTorch. */
  weightDecay: nonNegative.optional(),
  betas: expecting("two numbers below 1", (e) => z.tuple([share, share], e).readonly()).default([0.9, 0.999]),
  eps: positive.default(1e-8),
  momentum: share.default(0),
  nesterov: flag.default(false),
});

const training = section({
  epochs: count,
  optimizer: optimizer.prefault({}),
  schedule: section({
    kind: oneOf(["constant", "cosine"]).default("constant"),
    warmupSteps: countFromZero.default(0),
    finalShare: share.default(0),
  }).prefault({}),
  losses,
  seed: expecting("a whole number, 0 to 4294967295", (e) =>
    z.number(e).int(e).min(0, e).max(4_294_967_295, e),
  ).default(123),
  /** First epoch, counted from 0, after which the model is evaluated. */
  evaluateFrom: countFromZero,
  evaluateEvery: count.default(1),
  /** The figure that makes a checkpoint the best, both as published: mIoU, or the mean of mIoU and F. */
  selectBy: oneOf(["miou", "miou+f"]).default("miou"),
  /** Split on which epochs are compared. The published S4 file says `test`, which leaks. */
  valSplit: oneOf(["val", "test", "train"]).default("val"),
  /** A checkpoint to start from (fine-tuning). */
  init: file.nullable().default(null),
  /** The last checkpoint is renewed at least this often within an epoch. */
  checkpointEverySeconds: positive.default(300),
  checkpointEverySteps: count.nullable().default(null),
});

const data = section({
  /** The AVSBench folder, or the folder of the task within it. */
  root: file.default("data"),
  imageSize: expecting("a multiple of 32, 32 to 4096", (e) =>
    z.number(e).int(e).min(32, e).max(4096, e).multipleOf(32, e),
  ).default(224),
  batchSize: count.default(4),
  /** Clips per batch when the test split is evaluated, which the published averages depend on; `null`: `batchSize`. */
  testBatchSize: count.nullable().default(null),
  /** Decoding threads; 0 decodes on the main thread. Default: by the number of cores. */
  workers: expecting("a whole number, 0 to 256", (e) => z.number(e).int(e).min(0, e).max(256, e))
    .nullable()
    .default(null),
  /** Where log-mels come from: ready-made `.pkl`, computed from `.wav`, or whichever is there. */
  audio: oneOf(["auto", "pkl", "wav"]).default("auto"),
  /** Whether embeddings of a frozen audio encoder are kept for later runs, in the cache folder of `avseg weights`. */
  audioCache: flag.default(true),
  /** Steps per clip. */
  frameCount: count,
});

/** The whole configuration, after the defaults of its task and encoder are filled in. */
export const configSchema = section({
  task: oneOf(["s4", "ms3", "avss"]),
  /** Free text, e.g. what the run tries. */
  description: z.string("text").default(""),
  model: section({
    visual: visual.prefault({}),
    audio: audio.prefault({}),
    messenger: messenger.prefault({}),
    decoder,
    /** Output classes; `null` takes them from the dataset (one logit for the binary tasks). */
    classes: count.nullable().default(null),
  }),
  data,
  training,
  runtime: section({
    provider: oneOf(["cpu", "webgpu"]).default("cpu"),
    threads: count.nullable().default(null),
  }).prefault({}),
  /** Folder for checkpoints, logs and metrics; by default `work_dir/<task>/<file name>`. */
  workDir: file.nullable().default(null),
});

/** A complete configuration. */
export type Config = z.infer<typeof configSchema>;
/** Its model part. */
export type ModelConfig = Config["model"];
/** Its training part. */
export type TrainingConfig = Config["training"];

type Section = Readonly<Record<string, unknown>>;

const isSection = (value: unknown): value is Section =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Puts `defaults` under the keys of `value` that are missing; anything but a section stays as it is. */
function under(value: unknown, defaults: Section): unknown {
  if (value === undefined || value === null) return defaults;
  return isSection(value) ? { ...defaults, ...value } : value;
}

const taskDefaults = {
  s4: { epochs: 30, losses: { dice: 1 }, evaluateFrom: 0, frameCount: 5 },
  ms3: { epochs: 60, losses: { dice: 1, bce: 1 }, evaluateFrom: 0, frameCount: 5 },
  avss: { epochs: 30, losses: { crossEntropy: 1 }, evaluateFrom: 10, frameCount: 10 },
} as const;

/** Fills in the defaults that depend on the task and on the encoder (published recipe). */
export function withTaskDefaults(raw: unknown): unknown {
  if (!isSection(raw)) return raw;
  const task = Object.entries(taskDefaults).find(([name]) => name === raw.task)?.[1] ?? taskDefaults.s4;
  const { frameCount, ...trainingDefaults } = task;
  const model = under(raw.model, {});
  const kind = isSection(model) && isSection(model.visual) ? model.visual.kind : undefined;
  const resnet = kind === "resnet50";
  const lossDefaults = raw.task === "ms3" && resnet ? { losses: { dice: 1 } } : {};
  return {
    ...raw,
    model: isSection(model) ? { ...model, decoder: under(model.decoder, { project: resnet }) } : model,
    data: under(raw.data, { frameCount }),
    training: under(raw.training, { ...trainingDefaults, ...lossDefaults }),
  };
}
