/**
 * What a model is made of, as plain data: everything that fixes its parameters and its formulas. It is saved
 * in the metadata of checkpoints, so that a checkpoint alone rebuilds its model.
 */
import { firstDifference } from "../diff.js";
import { CheckpointError } from "../errors.js";

/** The setting of AVSBench: single source, multiple sources, semantic. */
export type Task = "s4" | "ms3" | "avss";

/** One number per stage. */
export type PerStage = readonly [number, number, number, number];

/** Sizes of a PVTv2 encoder. */
export interface PvtConfig {
  readonly kind: "pvt-v2";
  /** Channels of the stages. */
  readonly dims: PerStage;
  /** Blocks of the stages. */
  readonly depths: PerStage;
  readonly heads: PerStage;
  readonly mlpRatios: PerStage;
  /** Spatial reduction of keys and values. */
  readonly reductions: PerStage;
  /** Drop-path rate of the last block; it rises linearly from 0. */
  readonly dropPath: number;
  /** Rank of the low-rank adapters on q and the value half of kv; 0 for none. */
  readonly loraRank: number;
}

/** A ResNet-50 encoder. */
export interface ResNetConfig {
  readonly kind: "resnet50";
  /** Use and keep the running statistics in training (published: batch statistics). */
  readonly freezeBatchNorm: boolean;
}

/** Sizes of a VGGish audio encoder; its embedding is 128 wide. */
export interface VggishConfig {
  /** Channels of the six convolutions. */
  readonly widths: readonly [number, number, number, number, number, number];
  /** Width of the two hidden linear layers. */
  readonly hidden: number;
  /** Post-process embeddings with `pca_eigen_vectors` and `pca_means`. */
  readonly pca: boolean;
}

/** The Messenger Blocks. */
export interface MessengerConfig {
  readonly queries: number;
  readonly width: number;
  readonly heads: number;
  /** T: consecutive frames that one Audio-Visual Temporal Fusion joins. */
  readonly frames: number;
  readonly dropout: number;
}

/** The decoder. */
export interface DecoderConfig {
  /** Fuse after the 1x1 convolution to `convDim` (published for ResNet-50) instead of before it. */
  readonly project: boolean;
  /** Channel attention in place of the cross-attention to the audio. */
  readonly channel: boolean;
  readonly convDim: number;
  readonly heads: number;
  /** Spatial reduction of keys and values per stage. */
  readonly reductions: PerStage;
  readonly dropout: number;
  /** Sine position encoding in the spatial attention. */
  readonly positionEncoding: boolean;
}

/** A whole model. */
export interface AvsModelConfig {
  readonly task: Task;
  /** Class names: one for the binary tasks; their number is the number of logits. */
  readonly classes: readonly string[];
  /** Steps per clip; a multiple of `messenger.frames`. */
  readonly frameCount: number;
  /** Side of the square frames in pixels, a multiple of 32. */
  readonly imageSize: number;
  readonly visual: PvtConfig | ResNetConfig;
  readonly audio: VggishConfig;
  readonly messenger: MessengerConfig;
  readonly decoder: DecoderConfig;
}

/** Width of the audio embedding. */
export const audioWidth = 128;

/** The class names of a binary model. */
export const binaryClasses: readonly string[] = ["sounding object"];

/** Channels of the four stages of a visual encoder. */
export function stageDims(visual: PvtConfig | ResNetConfig): PerStage {
  return visual.kind === "pvt-v2" ? visual.dims : [256, 512, 1024, 2048];
}

/** The configuration as checkpoint metadata holds it. */
export function modelConfigToJson(config: AvsModelConfig): string {
  return JSON.stringify(config);
}

/** Reads what `modelConfigToJson` wrote; `where` names its origin. Throws `CheckpointError` when it is malformed. */
export function modelConfigFromJson(json: string, where: string): AvsModelConfig {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new CheckpointError(`${where}: the model description is not JSON`, { cause });
  }
  const read = new Reader(where, value, "model");
  const config: AvsModelConfig = {
    task: read.oneOf("task", ["s4", "ms3", "avss"]),
    classes: read.texts("classes"),
    frameCount: read.count("frameCount", 1024),
    imageSize: read.count("imageSize", 4096),
    visual: read.section("visual", (r): PvtConfig | ResNetConfig => {
      if (r.oneOf("kind", ["pvt-v2", "resnet50"]) === "resnet50") {
        return { kind: "resnet50", freezeBatchNorm: r.flag("freezeBatchNorm") };
      }
      return {
        kind: "pvt-v2",
        dims: r.counts("dims", 4, 4096) as PerStage,
        depths: r.counts("depths", 4, 256) as PerStage,
        heads: r.counts("heads", 4, 256) as PerStage,
        mlpRatios: r.counts("mlpRatios", 4, 64) as PerStage,
        reductions: r.counts("reductions", 4, 64) as PerStage,
        dropPath: r.share("dropPath"),
        loraRank: r.count("loraRank", 4096, 0),
      };
    }),
    audio: read.section("audio", (r) => ({
      widths: r.counts("widths", 6, 4096) as VggishConfig["widths"],
      hidden: r.count("hidden", 16384),
      pca: r.flag("pca"),
    })),
    messenger: read.section("messenger", (r) => ({
      queries: r.count("queries", 1024),
      width: r.count("width", 4096),
      heads: r.count("heads", 256),
      frames: r.count("frames", 1024),
      dropout: r.share("dropout"),
    })),
    decoder: read.section("decoder", (r) => ({
      project: r.flag("project"),
      channel: r.flag("channel"),
      convDim: r.count("convDim", 4096),
      heads: r.count("heads", 256),
      reductions: r.counts("reductions", 4, 64) as PerStage,
      dropout: r.share("dropout"),
      positionEncoding: r.flag("positionEncoding"),
    })),
  };
  const problem = modelConfigProblem(config);
  if (problem !== undefined) throw new CheckpointError(`${where}: ${problem}`);
  return config;
}

/** What only matters in training, and what the data decides. */
const adjustable = /(^|\.)(task|classes|frameCount|imageSize|dropout|dropPath|freezeBatchNorm)$/;

/** The first key below `model` in which two models would compute something else with the same weights. */
export function modelDifference(a: AvsModelConfig, b: AvsModelConfig): ReturnType<typeof firstDifference> {
  return firstDifference(a, b, (key) => !adjustable.test(key));
}

/** What makes `config` impossible to build, in one phrase; `undefined` if nothing does. */
export function modelConfigProblem(config: AvsModelConfig): string | undefined {
  const { visual, messenger, decoder, imageSize, frameCount, classes } = config;
  const dims = stageDims(visual);
  if (imageSize % 32 !== 0) return `imageSize ${imageSize} is not a multiple of 32`;
  if (frameCount % messenger.frames !== 0) {
    return `frameCount ${frameCount} is not a multiple of messenger.frames ${messenger.frames}`;
  }
  if (messenger.width % messenger.heads !== 0) {
    return `messenger.width ${messenger.width} is not a multiple of its ${messenger.heads} heads`;
  }
  // The embedding is added to the attended queries, which the published widths allow.
  if (messenger.width !== audioWidth) return `messenger.width ${messenger.width} is not ${audioWidth}`;
  if (visual.kind === "pvt-v2") {
    const stage = dims.findIndex((d, i) => d % (visual.heads[i] ?? 1) !== 0);
    if (stage >= 0) return `visual.dims[${stage}] is not a multiple of its ${visual.heads[stage]} heads`;
  }
  const fused = decoder.project ? [decoder.convDim] : dims;
  const odd = fused.find((d) => d % decoder.heads !== 0);
  if (odd !== undefined) return `${odd} channels are not a multiple of the decoder's ${decoder.heads} heads`;
  const tooLarge = decoder.reductions.findIndex((r, i) => r > imageSize / 2 ** (i + 2));
  if (tooLarge >= 0) return `decoder.reductions[${tooLarge}] leaves nothing of its stage`;
  if (classes.length === 0) return "no classes";
  if (config.task !== "avss" && classes.length !== 1) return `${classes.length} classes in a binary task`;
  return undefined;
}

/** Reads fields of a JSON object, naming what is wrong by its path. */
class Reader {
  readonly #where: string;
  readonly #path: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  constructor(where: string, value: unknown, path: string) {
    this.#where = where;
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw new CheckpointError(`${where}: "${path}" is not an object`);
    }
    this.#fields = Object.fromEntries(Object.entries(value));
  }

  section<T>(key: string, read: (r: Reader) => T): T {
    return read(new Reader(this.#where, this.#fields[key], `${this.#path}.${key}`));
  }

  oneOf<const V extends string>(key: string, values: readonly V[]): V {
    const found = values.find((v) => v === this.#fields[key]);
    return found ?? this.#fail(key, `one of ${values.join(", ")}`);
  }

  flag(key: string): boolean {
    const value = this.#fields[key];
    return typeof value === "boolean" ? value : this.#fail(key, "true or false");
  }

  count(key: string, most: number, least = 1): number {
    const value = this.#fields[key];
    return isWhole(value, least, most) ? value : this.#fail(key, `a whole number from ${least} to ${most}`);
  }

  counts(key: string, length: number, most: number): readonly number[] {
    const value = this.#fields[key];
    if (!Array.isArray(value) || value.length !== length) return this.#fail(key, `${length} whole numbers`);
    const items: unknown[] = value;
    return items.map((v) => (isWhole(v, 1, most) ? v : this.#fail(key, `whole numbers from 1 to ${most}`)));
  }

  share(key: string): number {
    const value = this.#fields[key];
    const fits = typeof value === "number" && value >= 0 && value < 1;
    return fits ? value : this.#fail(key, "a number from 0 up to, not including, 1");
  }

  texts(key: string): readonly string[] {
    const value = this.#fields[key];
    if (!Array.isArray(value) || value.length > 4096) return this.#fail(key, "a list of names");
    const items: unknown[] = value;
    return items.map((v) => (typeof v === "string" ? v : this.#fail(key, "a list of names")));
  }

  #fail(key: string, expected: string): never {
    const found = JSON.stringify(this.#fields[key])?.slice(0, 60) ?? "nothing";
    throw new CheckpointError(`${this.#where}: "${this.#path}.${key}" is ${found}, expected ${expected}`);
  }
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= least && value <= most;
}
