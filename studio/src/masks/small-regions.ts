/** Leaves small regions out of a probability map. */
import type { ProbabilityMap } from "avseg/studio";

/** Clears connected regions of marked pixels that are smaller than `fraction` of the frame, in place. */
export function dropSmallRegions(map: ProbabilityMap, fraction: number): void {
  const { width, height, probabilities, activeClasses } = map;
  const size = width * height;
  const background = probabilities.get(0);
  if (!background) return;
  const marked = new Uint8Array(size);
  for (const index of activeClasses) {
    const plane = probabilities.get(index)!;
    for (let i = 0; i < size; i++) if (plane[i]! > background[i]!) marked[i] = 1;
  }
  const stack: number[] = [];
  for (let seed = 0; seed < size; seed++) {
    if (marked[seed] !== 1) continue;
    const region: number[] = [];
    stack.push(seed);
    marked[seed] = 2;
    while (stack.length > 0) {
      const i = stack.pop()!;
      region.push(i);
      const x = i % width;
      for (const [j, inside] of [
        [i - 1, x > 0],
        [i + 1, x < width - 1],
        [i - width, i >= width],
        [i + width, i < size - width],
      ] as const) {
        if (!inside || marked[j] !== 1) continue;
        marked[j] = 2;
        stack.push(j);
      }
    }
    if (region.length >= fraction * size) continue;
    for (const index of activeClasses) for (const i of region) probabilities.get(index)![i] = 0;
    for (const i of region) background[i] = 1;
  }
}
