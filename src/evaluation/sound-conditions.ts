/**
 * Does a model listen? The same frames and masks with other sounds: a model that listens falls, one that only looks does
 * not. In the manner of AVSBench-Robust (Li et al. 2025), whose negative sounds are silence, noise and sounds of things
 * that are not in view.
 */
import { at } from "../arrays.js";
import type { AvsDataset, Task } from "../datasets/clip.js";
import { DatasetError } from "../errors.js";
import { fitExamples, SILENT_LOG_MEL, VGGISH_RATE_HZ } from "../media/log-mel.js";
import { hashText, Random } from "../random.js";
import type { TensorOf } from "../tensor.js";

/** Which sounds the clips of a dataset get. */
export const soundConditions = ["own", "swapped", "silence", "noise", "other-class"] as const;
/** Which sounds the clips of a dataset get. */
export type SoundCondition = (typeof soundConditions)[number];

/** What each condition is. */
export const soundNotes: Readonly<Record<SoundCondition, { readonly label: string; readonly note: string }>> =
  {
    own: { label: "Own sound", note: "clips as they are" },
    swapped: { label: "Swapped sound", note: "the sound of another clip; in S4 of another category" },
    silence: { label: "Silence", note: "digital silence" },
    noise: { label: "Noise", note: "white noise of full scale, drawn for each clip" },
    "other-class": { label: "Other class", note: "the sound of a clip in which nothing of this clip sounds" },
  };

/** Which sounds, and how they are drawn. */
export interface SoundOptions {
  readonly sound: SoundCondition;
  /** Decides partners and noise. Default: 123. */
  readonly seed?: number | undefined;
}

/**
 * A dataset with the same frames and masks and other sounds; the same ones for the same seed. Padded steps keep their
 * own log-mels. Throws `DatasetError` when no clip has a suitable sound for another one, or when the condition needs the
 * names of what sounds and the dataset does not have them.
 *
 * @example
 * const dataset = await openDataset({ task: "ms3", root: "data", split: "test", imageSize: 224 });
 * const swapped = withSound(dataset, { sound: "swapped" });
 */
export function withSound(dataset: AvsDataset, { sound, seed = 123 }: SoundOptions): AvsDataset {
  switch (sound) {
    case "own":
      return dataset;
    case "swapped": {
      const categories = dataset.entries.map(({ category }) => category);
      return withPartners(
        dataset,
        swapPartners(categories, { differ: categoriesAreSounds(dataset.task), seed }),
      );
    }
    case "other-class":
      return withPartners(dataset, otherClassPartners(dataset.entries, seed));
    case "silence":
      return withOtherSounds(dataset, {
        waveform: (own) => new Float32Array(own.length),
        logMel: (own) => new Float32Array(own.data.length).fill(SILENT_LOG_MEL),
      });
    case "noise": {
      const noise = (index: number, length: number): Float32Array<ArrayBuffer> => {
        const random = new Random(seed, hashText("noise"), index);
        return Float32Array.from({ length }, () => random.uniform(-1, 1));
      };
      return withOtherSounds(dataset, {
        waveform: (own, index) => noise(index, own.length),
        logMel: ({ shape: [count = 0] }, index) =>
          fitExamples(noise(index, (count + 1) * VGGISH_RATE_HZ), VGGISH_RATE_HZ, count).data,
      });
    }
  }
}

/** Whether a dataset says what sounds in its clips, as `other-class` needs. */
export function knowsSounds({ entries }: Pick<AvsDataset, "entries">): boolean {
  return entries.every(({ sounds = [] }) => sounds.length > 0);
}

/**
 * For each clip, the index of the clip whose sound it gets: never its own, of another category where `differ`
 * is true, and the same for the same seed. It is a permutation unless one category has more than half of the
 * clips (some sounds are then used twice).
 *
 * Throws `DatasetError` when no such partner exists.
 *
 * @param categories each clip's category.
 */
export function swapPartners(
  categories: readonly string[],
  options: { differ: boolean; seed: number },
): number[] {
  const random = new Random(options.seed, hashText("swap sounds"));
  const groups = new Map<string, number[]>();
  for (const i of random.permutation(categories.length)) {
    const key = options.differ ? (categories[i] as string) : "";
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  if (categories.length < 2 || (options.differ && groups.size < 2)) {
    throw new DatasetError(
      `swapped sounds: expected clips of at least two ${options.differ ? "categories" : "sounds"}, found one`,
      { hint: "Evaluate a split with more clips." },
    );
  }
  // With the categories side by side, a step of the largest one's length leads out of every category.
  const order = [...groups.values()].flat();
  const largest = Math.max(...[...groups.values()].map((members) => members.length));
  const step = options.differ ? largest : 1;
  const partners = new Array<number>(order.length);
  for (const [k, i] of order.entries()) {
    let j = at(order, (k + step) % order.length);
    // Only in a category that has more than half of the clips: any clip of another one.
    for (let next = k + 1; options.differ && categories[j] === categories[i]; next++) {
      j = at(order, next % order.length);
    }
    partners[i] = j;
  }
  return partners;
}

/**
 * For each clip, the index of a clip that shares no sound with it: the first one after it in a random order. Some sounds
 * may be used more than once. Throws `DatasetError` when the names are missing, or a clip shares a sound with all others.
 */
export function otherClassPartners(entries: AvsDataset["entries"], seed: number): number[] {
  if (!knowsSounds({ entries })) {
    throw new DatasetError("sounds of other classes: the dataset does not say what sounds in its clips", {
      hint: "Put AVSS/metadata.csv of AVSBench beside Multi-sources, or leave other-class out of --sound.",
    });
  }
  const order = new Random(seed, hashText("other class")).permutation(entries.length);
  const partners = new Array<number>(order.length);
  for (const [k, i] of order.entries()) {
    const own = new Set(entries[i]?.sounds);
    const others = [...order.slice(k + 1), ...order.slice(0, k)];
    const partner = others.find((j) => entries[j]?.sounds?.every((name) => !own.has(name)));
    if (partner === undefined) {
      throw new DatasetError(
        `sounds of other classes: every other clip shares a sound with clip ${entries[i]?.id} (${[...own].join(", ")})`,
        { hint: "Evaluate a split with more classes, or leave other-class out of --sound." },
      );
    }
    partners[i] = partner;
  }
  return partners;
}

/** Frames and masks of clip i, the sound of its partner. */
function withPartners(dataset: AvsDataset, partners: readonly number[]): AvsDataset {
  const partnerOf = (index: number): number => partners[index] ?? index;
  return {
    ...dataset,
    load: async (index, decode) => {
      const [clip, other] = await Promise.all([
        dataset.load(index, decode),
        dataset.load(partnerOf(index), decode),
      ]);
      return { ...clip, logMel: other.logMel, sound: other.sound };
    },
    loadWaveform: async (index) => dataset.loadWaveform?.(partnerOf(index)),
  };
}

/** Makes another sound for clip `index` from its own one, in each form. */
interface SoundMaker {
  readonly waveform: (own: Float32Array, index: number) => Float32Array<ArrayBuffer>;
  readonly logMel: (own: TensorOf<"f32">, index: number) => Float32Array;
}

/** The sounds replaced; log-mels in real steps only. */
function withOtherSounds(dataset: AvsDataset, { waveform, logMel }: SoundMaker): AvsDataset {
  return {
    ...dataset,
    load: async (index, decode) => {
      const clip = await dataset.load(index, decode);
      return {
        ...clip,
        sound: clip.sound && { ...clip.sound, data: waveform(clip.sound.data, index) },
        logMel: clip.logMel && inRealSteps(clip.logMel, clip.frameMask, logMel(clip.logMel, index)),
      };
    },
    loadWaveform: async (index) => {
      const own = await dataset.loadWaveform?.(index);
      return own && waveform(own, index);
    },
  };
}

function inRealSteps(
  logMel: TensorOf<"f32">,
  frameMask: TensorOf<"f32">,
  replaced: Float32Array,
): TensorOf<"f32"> {
  const size = logMel.data.length / frameMask.data.length;
  const data = logMel.data.map((value, i) =>
    frameMask.data[Math.floor(i / size)] === 0 ? value : (replaced[i] ?? value),
  );
  return { ...logMel, data };
}

/** Whether a task's categories say what sounds. */
function categoriesAreSounds(task: Task): boolean {
  return task === "s4";
}
