/** A handle for the browser's console and for tests: what was found in the shown video. */
import { labelsOf } from "avseg/studio";
import { selected } from "./library";
import { live } from "./live";
import type { Status } from "./result";

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
  /** How far segmenting is, with the video's own sound or with another. */
  status(which: "result" | "other"): Status | undefined {
    return selected.value?.[which].status.value;
  },
};
