/** What the keys and shapes of a published state dict reveal about the model that it belongs to. */
import type { Shape } from "../tensor.js";

/** Shapes of a state dict, for the functions that infer a model's sizes. */
export interface StateDictShapes {
  /** Names the file in messages. */
  readonly file: string;
  has(key: string): boolean;
  shape(key: string): Shape | undefined;
  /** Size of `axis` of a tensor. Default: the first axis. Throws `CheckpointError` when the tensor is missing. */
  size(key: string, axis?: number): number;
}

/** The shapes of the keys that begin with `prefix`, by what follows it. */
export function shapesBelow(shapes: StateDictShapes, prefix: string): StateDictShapes {
  return {
    file: shapes.file,
    has: (key) => shapes.has(prefix + key),
    shape: (key) => shapes.shape(prefix + key),
    size: (key, axis) => shapes.size(prefix + key, axis),
  };
}

/** The number of layers 0, 1, 2... whose key, made by `key`, is there. */
export function countLayers(shapes: StateDictShapes, key: (index: number) => string): number {
  let count = 0;
  while (shapes.has(key(count))) count++;
  return count;
}
