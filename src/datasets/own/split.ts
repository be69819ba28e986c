/** Divides the clips of labeled videos into training, validation and test clips. */
import { hashText, Random } from "../../random.js";
import type { Split } from "../clip.js";
import type { ClipWindow } from "./scan.js";

/** How clips are divided. */
export interface SplitOptions {
  /** Fraction of the clips for validation. Default: 0.15. */
  readonly valFraction?: number | undefined;
  /** Fraction of the clips for testing. Default: 0.15. */
  readonly testFraction?: number | undefined;
  /** Decides which videos go to which split. Default: 123. */
  readonly seed?: number | undefined;
}

/**
 * The split of every window. Clips of one video stay together where there are three videos or more; of fewer videos,
 * the last windows are taken. Windows with missing masks can only train, and one group at least stays for training.
 */
export function splitWindows(
  windows: readonly ClipWindow[],
  { valFraction = 0.15, testFraction = 0.15, seed = 123 }: SplitOptions,
): Map<ClipWindow, Split> {
  const split = new Map(windows.map((window): [ClipWindow, Split] => [window, "train"]));
  const complete = windows.filter((window) => window.complete);
  const groups = groupsOf(complete, seed);
  let next = 0;
  for (const [part, fraction] of [["val", valFraction] as const, ["test", testFraction] as const]) {
    let missing = Math.ceil(fraction * complete.length);
    while (missing > 0 && next < groups.length - 1) {
      for (const window of groups[next++] ?? []) {
        split.set(window, part);
        missing--;
      }
    }
  }
  return split;
}

/** Windows that must not be divided, in the order in which they are taken from training. */
function groupsOf(windows: readonly ClipWindow[], seed: number): ClipWindow[][] {
  const videos = [...new Set(windows.map(({ video }) => video))];
  if (videos.length < 3) return [...windows].reverse().map((window) => [window]);
  const order = new Random(seed, hashText("import splits")).permutation(videos.length);
  return order.map((i) => windows.filter(({ video }) => video === videos[i]));
}
