/** Quantized layers at the extremes of both operands, with sums of products that are computed here in integers. */
import { int8Graph } from "../src/export/int8-graph.js";
import { maxInt8Weight } from "../src/export/int8-weights.js";
import type { StoredGraph } from "../src/export/stored-graph.js";
import { affine, conv2d, input, parameter, type Value } from "../src/graph/index.js";
import { f32, type Shape, sizeOf, type TensorOf } from "../src/tensor.js";
import { seededUniform } from "./support.js";

/** Weights are integers times this: a power of two, so that sums of integers become floats without an error. */
export const weightScale = 2 ** -5;

/** A quantized layer of the input `x` and the output `y`, and what it has to find. */
export interface Int8Case {
  readonly name: string;
  readonly stored: StoredGraph;
  readonly x: TensorOf<"f32">;
  /** Sums of products, an output pixel after the other, channels innermost: what `MatMulInteger` gives. */
  readonly sums: Int32Array;
  /** `y / weightScale`, in the order of `y`. */
  readonly outputs: Int32Array;
}

/** The ends of a range of integers. */
interface Ends {
  readonly low: number;
  readonly high: number;
}

/**
 * Inputs are integers of such a range: as its ends are 255 apart, they are quantized without an error, to bytes from 0
 * to 255 with the zero point `-low`.
 */
const inputRanges: readonly Ends[] = [
  { low: 0, high: 255 },
  { low: -128, high: 127 },
  { low: -255, high: 0 },
];

const weightRange: Ends = { low: -maxInt8Weight, high: maxInt8Weight };

/** Rows of integers with which pairs of products reach their extremes, whichever neighbors a kernel pairs. */
function extremeRows({ low, high }: Ends, length: number): number[][] {
  const row = (at: (i: number) => number): number[] => Array.from({ length }, (_, i) => at(i));
  const signs = seededUniform("signs", length);
  const values = seededUniform("values", length);
  return [
    row(() => high),
    row((i) => (i === 0 ? high : low)), // a row of weights has to reach the magnitude of `high`
    row((i) => (i % 2 === 0 ? high : low)),
    row((i) => (i % 4 < 2 ? high : low)),
    row((i) => (i % 16 < 8 ? low : high)),
    row((i) => (signs[i]! < 0 ? low : high)),
    row((i) => (i < 2 ? [low, high][i]! : Math.round(low + ((values[i]! + 1) / 2) * (high - low)))),
  ];
}

const scaled = (rows: readonly (readonly number[])[], shape: Shape): TensorOf<"f32"> =>
  f32(
    rows.flat().map((m) => m * weightScale),
    shape,
  );

/** The layer `y` in 8 bits. Its weights are stored: nothing has to be folded. */
const quantized = (y: Value, weights: Readonly<Record<string, TensorOf<"f32">>>): StoredGraph =>
  int8Graph({ y }, { precomputed: new Map(), data: new Map(Object.entries(weights)) }, { minWeights: 1 });

function linearCase(range: Ends): Int8Case {
  const inputs = 323; // no multiple of what a kernel takes at once
  const xs = extremeRows(range, inputs);
  const ws = extremeRows(weightRange, inputs);
  const bias = ws.map((_, o) => 1000 * o - 3);
  const sums = Int32Array.from(
    xs.flatMap((x) => ws.map((w) => w.reduce((sum, weight, i) => sum + weight * x[i]!, 0))),
  );
  const y = affine(
    input("x", [xs.length, inputs]),
    parameter("w", [ws.length, inputs]),
    parameter("b", [ws.length]),
  );
  return {
    name: `linear map of ${range.low} to ${range.high}`,
    stored: quantized(y, {
      w: scaled(ws, [ws.length, inputs]),
      b: scaled([bias], [ws.length]),
    }),
    x: f32(xs.flat(), [xs.length, inputs]),
    sums,
    outputs: sums.map((sum, k) => sum + bias[k % ws.length]!),
  };
}

function convolutionCase(range: Ends, dilation: number): Int8Case {
  const [batch, channels, height, width] = [2, 5, 6, 7];
  const xs = extremeRows(range, sizeOf([batch, channels, height, width]) / 2).slice(-batch); // a row per sample
  const ws = extremeRows(weightRange, 9 * channels);
  const seen = (n: number, c: number, i: number, j: number): number =>
    i < 0 || j < 0 || i >= height || j >= width ? 0 : xs[n]![(c * height + i) * width + j]!;
  const sums: number[] = [];
  const outputs = new Int32Array(batch * ws.length * height * width);
  for (let n = 0; n < batch; n++) {
    for (let i = 0; i < height; i++) {
      for (let j = 0; j < width; j++) {
        ws.forEach((w, o) => {
          const sum = w.reduce((total, weight, k) => {
            const [c, u, v] = [Math.floor(k / 9), Math.floor(k / 3) % 3, k % 3];
            return total + weight * seen(n, c, i + (u - 1) * dilation, j + (v - 1) * dilation);
          }, 0);
          sums.push(sum);
          outputs[((n * ws.length + o) * height + i) * width + j] = sum;
        });
      }
    }
  }
  const kernel = [ws.length, channels, 3, 3];
  const map = input("x", [batch, channels, height, width]);
  return {
    name: `3x3 convolution of ${range.low} to ${range.high}, dilation ${dilation}`,
    stored: quantized(conv2d(map, parameter("w", kernel), undefined, { padding: dilation, dilation }), {
      w: scaled(ws, kernel),
    }),
    x: f32(xs.flat(), [batch, channels, height, width]),
    sums: Int32Array.from(sums),
    outputs,
  };
}

/** Linear maps and convolutions. */
export const int8Cases: readonly Int8Case[] = [
  ...inputRanges.map(linearCase),
  ...inputRanges.map((range) => convolutionCase(range, 1)),
  convolutionCase({ low: -128, high: 127 }, 2),
];
