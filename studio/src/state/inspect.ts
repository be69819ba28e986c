/** A handle for the browser's console and for tests: what was found in the shown video. */
import { labelsOf, type PackedMap } from "avseg/studio";
import { selected } from "./library";
import { live } from "./live";
import type { Status } from "./result";

function planesOf({ planes }: PackedMap): ArrayBuffer[] {
  return [...planes.values()].map(({ buffer }) => buffer);
}

/** What is behind `window.avsegStudio`. */
export const inspection = {
  /** The labels of every second's mask. */
  labels(): number[][] {
    const steps = selected.value?.result.steps ?? [];
    return steps.map(({ mask }) => [...labelsOf(mask.runs, mask.width * mask.height)]);
  },
  /** The labels of live mode's newest mask. */
  liveLabels(): number[] {
    const mask = live.step.value?.mask;
    return mask ? [...labelsOf(mask.runs, mask.width * mask.height)] : [];
  },
  /** How many seconds of the shown video have masks. */
  seconds(): number {
    return selected.value?.result.count.value ?? 0;
  },
  /** Bytes that the page keeps of the shown video's masks. */
  keptBytes(): number {
    const steps = selected.value?.result.steps ?? [];
    const buffers = steps.flatMap(({ mask, map }) => [mask.runs.buffer, ...planesOf(map)]);
    return [...new Set(buffers)].reduce((sum, { byteLength }) => sum + byteLength, 0);
  },
  /** How far segmenting is, with the video's own sound or with another. */
  status(which: "result" | "other"): Status | undefined {
    return selected.value?.[which].status.value;
  },
};
