/**
 * Swapped sounds: every clip is given the sound of another, of a different category where categories say what
 * sounds (S4). A model that listens falls; one that only looks does not.
 */
import type { AvsDataset, Task } from "../datasets/clip.js";
import { DatasetError } from "../errors.js";
import { hashText, Random } from "../random.js";

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
    let j = order[(k + step) % order.length] as number;
    // Only in a category that has more than half of the clips: any clip of another one.
    for (let next = k + 1; options.differ && categories[j] === categories[i]; next++) {
      j = order[next % order.length] as number;
    }
    partners[i] = j;
  }
  return partners;
}

/**
 * The dataset with its sounds swapped: frames and masks of clip i, log-mels of its partner. In S4 the partner
 * is of another category; in MS3 and AVSS it is any other clip.
 */
export function withSwappedSounds(dataset: AvsDataset, seed: number): AvsDataset {
  const categories = dataset.entries.map((entry) => entry.category);
  const partners = swapPartners(categories, { differ: categoriesAreSounds(dataset.task), seed });
  const partnerOf = (index: number): number => partners[index] ?? index;
  return {
    ...dataset,
    load: async (index, decode) => {
      const [clip, other] = await Promise.all([
        dataset.load(index, decode),
        dataset.load(partnerOf(index), decode),
      ]);
      return { ...clip, logMel: other.logMel };
    },
    loadWaveform: async (index) => dataset.loadWaveform?.(partnerOf(index)),
  };
}

/** Whether a task's categories say what sounds. */
export function categoriesAreSounds(task: Task): boolean {
  return task === "s4";
}
