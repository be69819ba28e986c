/** The mask of any moment, from the probabilities of the seconds around it. */

import type { Step } from "avseg/studio";
import { addPlane, classesOf, type ProbabilityMap } from "avseg/studio";
import { type Mask, maskOf } from "avseg/web";
import { dropSmallRegions } from "./small-regions";

/** How probabilities become a mask. */
export interface MaskControls {
  /** A pixel is marked above this probability, 0 to 1. 0.5 is the model's own decision. */
  readonly threshold: number;
  /** Over how many seconds around a moment probabilities are averaged; 0 interpolates between neighbors only. */
  readonly smoothingSeconds: number;
  /** Smaller regions are left out; a fraction of the frame. */
  readonly minRegion: number;
}

/** The controls with which the player shows what `avseg segment` shows. */
export const neutralControls: MaskControls = { threshold: 0.5, smoothingSeconds: 0, minRegion: 0 };

interface Weighted {
  readonly step: Step;
  readonly weight: number;
}

/** The index of the last step at or before `time`; -1 before the first. */
function stepBefore(steps: readonly Step[], time: number): number {
  let low = 0;
  let high = steps.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (steps[middle]!.timeSeconds <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The steps that a moment's probabilities are made of; weights sum to 1. */
function stepsAround(steps: readonly Step[], time: number, smoothing: number): Weighted[] {
  const at = stepBefore(steps, time);
  const before = steps[Math.max(0, at)];
  const after = steps[Math.min(steps.length - 1, at + 1)];
  if (!before || !after) return [];
  if (smoothing === 0) {
    const span = after.timeSeconds - before.timeSeconds;
    const weight = span > 0 ? Math.min(1, Math.max(0, (time - before.timeSeconds) / span)) : 0;
    // Beyond the last second that is known nothing is.
    if (weight === 0) return [{ step: before, weight: 1 }];
    return [
      { step: before, weight: 1 - weight },
      { step: after, weight },
    ];
  }
  const reach = smoothing + 1;
  const near: Weighted[] = [];
  for (let i = at; i >= 0 && time - steps[i]!.timeSeconds < reach; i--) {
    near.push({ step: steps[i]!, weight: 1 - (time - steps[i]!.timeSeconds) / reach });
  }
  for (let i = at + 1; i < steps.length && steps[i]!.timeSeconds - time < reach; i++) {
    near.push({ step: steps[i]!, weight: 1 - (steps[i]!.timeSeconds - time) / reach });
  }
  const total = near.reduce((sum, { weight }) => sum + weight, 0);
  return total > 0
    ? near.map(({ step, weight }) => ({ step, weight: weight / total }))
    : [{ step: before, weight: 1 }];
}

/** How far after the last step its mask still stands, in seconds. */
const holdSeconds = 1;

/**
 * The probabilities at `time`, moved so that a pixel is marked where they exceed the threshold; `undefined` where nothing
 * is known yet.
 */
export function mapAt(
  steps: readonly Step[],
  time: number,
  controls: MaskControls,
): ProbabilityMap | undefined {
  const last = steps.at(-1);
  if (!last || time > last.timeSeconds + holdSeconds) return undefined;
  const around = stepsAround(steps, time, controls.smoothingSeconds);
  const first = around[0];
  if (!first) return undefined;
  const { width, height } = first.step.map;
  const active = [...new Set(around.flatMap(({ step }) => classesOf(step.map)))].sort((a, b) => a - b);
  const shift = 0.5 - controls.threshold;
  const probabilities = new Map<number, Float32Array>();
  for (const index of [0, ...active]) {
    const plane = new Float32Array(width * height).fill(index === 0 ? -shift : shift);
    for (const { step, weight } of around) addPlane(plane, step.map, { index, weight });
    probabilities.set(index, plane);
  }
  const map = { width, height, probabilities, activeClasses: active };
  if (controls.minRegion > 0) dropSmallRegions(map, controls.minRegion);
  return map;
}

/** Size and classes of a mask. */
export interface MaskSize {
  readonly width: number;
  readonly height: number;
  readonly classes: readonly string[];
}

/** The mask at `time`; `undefined` where nothing is known yet. */
export function maskAt(
  steps: readonly Step[],
  time: number,
  { size, controls }: { size: MaskSize; controls: MaskControls },
): Mask | undefined {
  const map = mapAt(steps, time, controls);
  return map && maskOf(map, size);
}
