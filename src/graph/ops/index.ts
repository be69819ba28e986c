/** All ops: functions from values to a value. */
export { type Conv1dOptions, type ConvOptions, conv1d, conv2d, convTranspose2d } from "./conv.js";
export * from "./elementwise.js";
export * from "./gather.js";
export * from "./layout.js";
export * from "./matmul.js";
export * from "./normalize.js";
export * from "./pool.js";
export { after, recompute } from "./recompute.js";
export { max, mean, type ReduceOptions, sum } from "./reduce.js";
export * from "./resize.js";
