/**
 * The trained models that are public: where their authors publish them, under which licenses, and the accuracy that they
 * report. None of them is mirrored.
 */
import type { PublishedAccuracy, PublishedModel, PublishedSystem, WeightOrigin } from "./public-weights.js";

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
