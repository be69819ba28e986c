/** Layers and parameter scopes. */
export * from "./attention.js";
export * from "./conv.js";
export * from "./conv-norm.js";
export * from "./dropout.js";
export * from "./init.js";
export * from "./linear.js";
export * from "./mamba.js";
export * from "./norm.js";
export * from "./pass.js";
export * from "./patches.js";
export * from "./recomputed.js";
export * from "./scope.js";
export * from "./upsampled-conv.js";
