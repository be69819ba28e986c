/** Access to elements that the caller knows to exist. */

/**
 * Element `index` of numbers. The caller keeps the index in range; nothing is checked. The hottest loops over pixels
 * and samples index their arrays directly, since this function sees arrays of every type.
 */
export function at(values: ArrayLike<number>, index: number): number {
  return values[index] as number;
}
