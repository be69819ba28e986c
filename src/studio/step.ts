/** One segmented second as it crosses between threads, and as it is kept. */
import type { Region } from "../segment/mask.js";
import type { SegmentedFrame } from "../segment/step-stream.js";
import { type PackedMap, packMap } from "./packed-map.js";
import { type Runs, runsOf } from "./runs.js";

/** What the model found in one second. */
export interface Step {
  readonly index: number;
  /** When the frame that the model saw is on screen. */
  readonly timeSeconds: number;
  /** Largest magnitude of the second's sound, 0 to 1. */
  readonly peak: number;
  readonly silent: boolean;
  readonly map: PackedMap;
  /** The mask at the video's displayed size, as the library decided it. */
  readonly mask: {
    readonly width: number;
    readonly height: number;
    readonly runs: Runs;
    readonly regions: readonly Region[];
  };
}

/** What is kept of a frame. */
export function stepOf({ index, timeSeconds, peak, silent, probabilities, mask }: SegmentedFrame): Step {
  const { width, height, labels, regions } = mask;
  const kept = { width, height, regions, runs: runsOf(labels) };
  return { index, timeSeconds, peak, silent, map: packMap(probabilities), mask: kept };
}
