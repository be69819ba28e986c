/** The layers of the engine and the initial values of their parameters. */
export {
  type AttentionCall,
  type AttentionOptions,
  type MultiHeadAttention,
  multiHeadAttention,
} from "../nn/attention.js";
export { type Convolution, type ConvolutionOptions, convolution } from "../nn/conv.js";
export { dropout, dropPath, type PassLayer } from "../nn/dropout.js";
export {
  constantInit,
  type Initializer,
  kaimingUniform,
  normalInit,
  ones,
  torchDefault,
  valuesInit,
  xavierUniform,
  zeros,
} from "../nn/init.js";
export { type Linear, type LinearOptions, linear, projection } from "../nn/linear.js";
export { type BatchNorm, type BatchNormOptions, batchNorm, groupNorm, layerNorm } from "../nn/norm.js";
