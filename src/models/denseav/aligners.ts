/** DenseAV's aligners: they bring the features of both encoders into one space of D channels. */
import { affine, concat, dim, expand, reshape, slice, transpose, type Value } from "../../graph/index.js";
import {
  layerNorm,
  linear,
  normalInit,
  type Pass,
  pointwise,
  type Scope,
  torchDefault,
} from "../../nn/index.js";
import { epsilon, transformerBlock } from "./block.js";

/** A sound as a sequence `[B,T,C]`, and the class vector that takes part `[B,C]`. */
export interface SoundTokens {
  readonly steps: Value;
  readonly classVector: Value;
}

/** Sizes of the sound aligner. */
export interface SoundAlignerSizes {
  /** Channels of the sound encoder. */
  readonly inputs: number;
  /** D: channels of the common space. */
  readonly width: number;
  readonly heads: number;
}

/** Steps of the encoder that one step of the aligned sound covers, twice in a row. */
const pool = 3;

/** Steps that the aligner makes of `steps`. */
export function alignedSteps(steps: number): number {
  return Math.floor(Math.floor(steps / pool) / pool);
}

/** The parts of the sound aligner, in their order: norm, two convolutions that shorten, one transformer block. */
export type SoundAligner = readonly ((sound: SoundTokens, pass: Pass) => SoundTokens)[];

/**
 * Builds the aligner's parameters under `scope` (published as `audio_sa_3_3_pool_2`). The class vector takes part in the
 * attention, so it changes the steps although it is not used afterwards.
 */
export function soundAligner(scope: Scope, { inputs, width, heads }: SoundAlignerSizes): SoundAligner {
  const modules = scope.at("mod_list");
  const norm = layerNorm(modules.at(1).at("norm"), inputs, epsilon);
  const first = shorten(modules.at(2).at("layer"), inputs, width);
  const classMap = linear(modules.at(2).at("cls_layer"), inputs, width);
  const second = shorten(modules.at(3).at("layer"), width, width);
  const block = transformerBlock(modules.at(4).at("block"), { width, heads });
  return [
    ({ steps, classVector }) => ({ steps: norm(steps), classVector: norm(classVector) }),
    ({ steps, classVector }) => ({ steps: first(steps), classVector: classMap(classVector) }),
    ({ steps, classVector }) => ({ steps: second(steps), classVector }),
    ({ steps, classVector }, pass) => {
      const batch = dim(steps, 0);
      const token = reshape(classVector, [batch, 1, width]);
      const all = block(concat([token, steps], 1), pass);
      const range = (start: number, end: number) => slice(all, [{ axis: 1, start, end }]);
      return { steps: range(1, dim(all, 1)), classVector: reshape(range(0, 1), [batch, width]) };
    },
  ];
}

/** A convolution over time whose kernel is its stride.  `[B,T,I]` -> `[B,floor(T/3),O]` */
function shorten(scope: Scope, inputs: number, outputs: number): (x: Value) => Value {
  const init = torchDefault(inputs * pool);
  const weight = scope.param("weight", [outputs, inputs, 1, pool], init);
  const bias = scope.param("bias", [outputs], init);
  return (x) => {
    const count = Math.floor(dim(x, 1) / pool);
    const whole = slice(x, [{ axis: 1, start: 0, end: count * pool }]);
    const groups = reshape(whole, [dim(x, 0), count, pool * inputs]);
    const kernel = reshape(transpose(weight, [0, 2, 3, 1]), [outputs, pool * inputs]);
    return affine(groups, kernel, bias);
  };
}

/** The frame aligner (published as `image_linear`): patches `[N,L,I]` -> `[N,L,D]`. */
export function frameAligner(scope: Scope, inputs: number, width: number): (patches: Value) => Value {
  const norm = layerNorm(scope.at("norm").at("norm"), inputs, epsilon);
  const map = pointwise(scope.at("layer"), inputs, width, 2);
  linear(scope.unused().at("cls_layer"), inputs, width); // for the class token, which heat maps do not use
  return (patches) => map(norm(patches));
}

/** The learned class vector `[C]` for each of `batch` sounds: `[B,C]`. */
export function classVectorOf(scope: Scope, width: number): (batch: number) => Value {
  const vector = scope.param("audio_cls", [width], normalInit(1));
  return (batch) => expand(reshape(vector, [1, width]), [batch, width]);
}
