/** What the keys and shapes of a published state dict reveal about the model that it belongs to. */
import type { Shape } from "../tensor.js";

/** Shapes of a state dict, for the functions that infer a model's sizes. */
export interface StateDictShapes {
  has(key: string): boolean;
  shape(key: string): Shape | undefined;
  /** Size of `axis` of a tensor. Default: the first axis. Throws `CheckpointError` when the tensor is missing. */
  size(key: string, axis?: number): number;
}
