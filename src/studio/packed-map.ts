/** Probabilities of a second in bytes: half an hour of them must fit into a tab. */
import type { ProbabilityMap } from "../segment/probability-map.js";

/** A `ProbabilityMap` in 1/255: the background and the classes that come near to being shown. */
export interface PackedMap {
  readonly width: number;
  readonly height: number;
  /** `u8[height*width]` by class; 0 is the background, which is left out where there is one class only. */
  readonly planes: ReadonlyMap<number, Uint8Array<ArrayBuffer>>;
}

/** A class of several is kept where it reaches this probability somewhere. */
const keptFrom = 0.15;

/** Packs a map; the error of a probability is at most 1/510. */
export function packMap({ width, height, probabilities }: ProbabilityMap): PackedMap {
  const isBinary = probabilities.size === 2;
  const planes = new Map<number, Uint8Array<ArrayBuffer>>();
  for (const [index, plane] of probabilities) {
    if (isBinary ? index === 0 : index > 0 && !plane.some((p) => p >= keptFrom)) continue;
    planes.set(
      index,
      Uint8Array.from(plane, (p) => Math.round(255 * p)),
    );
  }
  return { width, height, planes };
}

/** The classes other than the background that a packed map holds. */
export function classesOf(map: PackedMap): number[] {
  return [...map.planes.keys()].filter((index) => index !== 0);
}

/** A class's probability at every pixel, added to `sum` with a weight. */
export function addPlane(sum: Float32Array, map: PackedMap, { index, weight }: PlaneTerm): void {
  const scale = weight / 255;
  const plane = map.planes.get(index);
  if (plane !== undefined) {
    for (let i = 0; i < sum.length; i++) sum[i]! += scale * plane[i]!;
    return;
  }
  const only = map.planes.get(1);
  if (index !== 0 || only === undefined || map.planes.size !== 1) return;
  for (let i = 0; i < sum.length; i++) sum[i]! += weight - scale * only[i]!;
}

/** One term of a sum of planes. */
export interface PlaneTerm {
  readonly index: number;
  readonly weight: number;
}
