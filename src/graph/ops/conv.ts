/** Convolution along one and two axes, its transpose, and their gradients. */
import { defineOp } from "../define-op.js";
import { dim, shape3, shape4 } from "../shapes.js";
import type { GraphNode, Value } from "../value.js";
import { concat, pad, reshape, reverse, slice, transpose } from "./layout.js";
import { matmul } from "./matmul.js";
import { sum } from "./reduce.js";

/** Options of `conv2d`; the same for both axes. */
export interface ConvOptions {
  /** Default: 1. */
  readonly stride?: number | undefined;
  /** Zeros added on every side. Default: 0. */
  readonly padding?: number | undefined;
  /** Default: 1. */
  readonly groups?: number | undefined;
  /** Distance between neighboring taps of the kernel. Default: 1. */
  readonly dilation?: number | undefined;
}

type ConvAttrs = { readonly [K in keyof ConvOptions]-?: number };
type ConvInputs = readonly [x: Value, w: Value, ...bias: Value[]];

/** Pixels from the first tap of a kernel to the last, including both. */
function extent(kernel: number, { dilation }: ConvAttrs): number {
  return (kernel - 1) * dilation + 1;
}

function outputSize(size: number, kernel: number, attrs: ConvAttrs): number {
  return Math.floor((size + 2 * attrs.padding - extent(kernel, attrs)) / attrs.stride) + 1;
}

/** Attributes that convolutions and their transposes share in ONNX. */
function onnxAttributes({ stride, padding, groups, dilation }: ConvAttrs) {
  return {
    strides: { ints: [stride, stride] },
    pads: { ints: [padding, padding, padding, padding] },
    dilations: { ints: [dilation, dilation] },
    group: { i: groups },
  };
}

const convOp = defineOp<ConvInputs, ConvAttrs>({
  name: "Conv",
  shape: ([x, w, b], attrs) => {
    const [batch, channels, height, width] = shape4(x, "Conv");
    const [out, perGroup, kernelHeight, kernelWidth] = shape4(w, "Conv");
    if (perGroup * attrs.groups !== channels || out % attrs.groups !== 0) {
      throw new RangeError(`Conv: weights [${w.shape}] in ${attrs.groups} groups do not fit [${x.shape}]`);
    }
    if (b !== undefined && (b.shape.length !== 1 || dim(b, 0) !== out)) {
      throw new RangeError(`Conv: bias [${b.shape}] does not fit weights [${w.shape}]`);
    }
    const size = [outputSize(height, kernelHeight, attrs), outputSize(width, kernelWidth, attrs)];
    if (size.some((d) => d < 1)) throw new RangeError(`Conv: [${x.shape}] is smaller than the kernel`);
    return [batch, out, ...size];
  },
  grad: ({ g, inputs: [x, w], attrs }) => [
    () => convInputGradient(g, w, x, attrs),
    () => convWeightGradient(g, w, x, attrs),
    () => sum(g, { axes: [0, 2, 3] }),
  ],
  onnx: (e, names, attrs) => e.op("Conv", names, onnxAttributes(attrs)),
});

/**
 * Convolution (cross-correlation, as in every framework).
 * x `[B,C,H,W]`, w `[O,C/groups,kh,kw]`, b `[O]` -> `[B,O,H',W']`.
 */
export function conv2d(x: Value, w: Value, b: Value | undefined, options: ConvOptions = {}): Value {
  const { stride = 1, padding = 0, groups = 1, dilation = 1 } = options;
  const attrs = { stride, padding, groups, dilation };
  return convOp(b === undefined ? [x, w] : [x, w, b], attrs);
}

/** A convolution that has been applied: its inputs and its options. */
export interface Convolution extends ConvAttrs {
  readonly x: Value;
  readonly w: Value;
  readonly bias: Value | undefined;
}

/** The convolution that `node` is an application of; `undefined` for any other op. */
export function convolutionOf({ op, inputs: [x, w, bias], attrs }: GraphNode): Convolution | undefined {
  const { stride, padding, groups, dilation } = attrs;
  if (op !== "Conv" || x === undefined || w === undefined) return undefined;
  if (typeof stride !== "number" || typeof padding !== "number") return undefined;
  if (typeof groups !== "number" || typeof dilation !== "number") return undefined;
  return { x, w, bias, stride, padding, groups, dilation };
}

/** Options of `conv1d`. */
export interface Conv1dOptions {
  /** Default: 1. */
  readonly stride?: number | undefined;
  /** Zeros before the first step. Default: 0. */
  readonly before?: number | undefined;
  /** Zeros after the last step. Default: 0. */
  readonly after?: number | undefined;
  /** Default: 1. */
  readonly groups?: number | undefined;
}

/** Convolution along one axis.  x `[B,C,T]`, w `[O,C/groups,k]`, b `[O]` -> `[B,O,T']` */
export function conv1d(x: Value, w: Value, b: Value | undefined, options: Conv1dOptions = {}): Value {
  const { stride = 1, before = 0, after = 0, groups = 1 } = options;
  const [batch, channels] = shape3(x, "Conv");
  const [out, perGroup, kernel] = shape3(w, "Conv");
  const row = reshape(pad(x, [{ axis: 2, before, after }]), [batch, channels, 1, -1]);
  const y = conv2d(row, reshape(w, [out, perGroup, 1, kernel]), b, { stride, groups });
  return reshape(y, [batch, out, -1]);
}

type TransposeAttrs = ConvAttrs & { readonly height: number; readonly width: number };

/** The adjoint of a strided convolution: g `[B,O,H',W']`, w `[O,C/groups,kh,kw]` -> `[B,C,height,width]`. */
const convTransposeOp = defineOp<readonly [g: Value, w: Value], TransposeAttrs>({
  name: "ConvTranspose",
  shape: ([g, w], { groups, height, width }) => [dim(g, 0), dim(w, 1) * groups, height, width],
  grad: ({ g, inputs: [x, w], attrs: { height: _, width: __, ...attrs } }) => [
    () => conv2d(g, w, undefined, attrs),
    () => convWeightGradient(x, w, g, attrs),
  ],
  onnx: (e, names, { height, width, ...attrs }, [g, w]) => {
    const missing = (size: number, small: number, kernel: number) =>
      size - ((small - 1) * attrs.stride + extent(kernel, attrs) - 2 * attrs.padding);
    return e.op("ConvTranspose", names, {
      ...onnxAttributes(attrs),
      output_padding: { ints: [missing(height, dim(g, 2), dim(w, 2)), missing(width, dim(g, 3), dim(w, 3))] },
    });
  },
});

/** Transposed convolution: the adjoint of `conv2d` with the same weights `[O,C/groups,kh,kw]` and options. */
export function convTranspose2d(
  g: Value,
  w: Value,
  options: ConvOptions & { height: number; width: number },
): Value {
  const { stride = 1, padding = 0, groups = 1, dilation = 1, height, width } = options;
  return convTransposeOp([g, w], { stride, padding, groups, dilation, height, width });
}

function convInputGradient(g: Value, w: Value, x: Value, attrs: ConvAttrs): Value {
  const [, channels, height, width] = shape4(x, "Conv");
  const [out, perGroup, kernel, kernelWidth] = shape4(w, "Conv");
  const { stride, padding, groups, dilation } = attrs;
  const reach = extent(kernel, attrs) - 1;
  if (stride !== 1 || kernel !== kernelWidth || padding > reach) {
    return convTransposeOp([g, w], { ...attrs, height, width });
  }
  // At stride 1 the adjoint is a convolution with the flipped kernel, for which the runtime is fastest.
  const grouped = reshape(w, [groups, out / groups, perGroup, kernel, kernel]);
  const swapped = reshape(transpose(grouped, [0, 2, 1, 3, 4]), [channels, out / groups, kernel, kernel]);
  const flipped = kernel === 1 ? swapped : reverse(swapped, [2, 3]);
  return conv2d(g, flipped, undefined, { padding: reach - padding, groups, dilation });
}

/**
 * dL/dw: for every position of the kernel, a matrix product of the output gradient with the pixels of x that the position
 * was multiplied by. This needs no copy of x per position.
 */
function convWeightGradient(g: Value, w: Value, x: Value, attrs: ConvAttrs): Value {
  const { stride, padding, groups, dilation } = attrs;
  const [batch, out, outHeight, outWidth] = shape4(g, "Conv");
  const [, perGroup, kernelHeight, kernelWidth] = shape4(w, "Conv");
  const padded = pad(x, [
    { axis: 2, before: padding, after: padding },
    { axis: 3, before: padding, after: padding },
  ]);
  const pixels = outHeight * outWidth;
  const gradient = reshape(g, [batch, groups, out / groups, pixels]);
  const positions: Value[] = [];
  for (let i = 0; i < kernelHeight; i++) {
    for (let j = 0; j < kernelWidth; j++) {
      const pixelsOfTap = slice(padded, [
        { axis: 2, start: i * dilation, end: i * dilation + (outHeight - 1) * stride + 1, step: stride },
        { axis: 3, start: j * dilation, end: j * dilation + (outWidth - 1) * stride + 1, step: stride },
      ]);
      const columns = reshape(pixelsOfTap, [batch, groups, perGroup, pixels]);
      const product = sum(matmul(gradient, columns, { transB: true }), { axes: [0] }); // [groups,O/groups,C/groups]
      positions.push(reshape(product, [out, perGroup, 1]));
    }
  }
  return reshape(concat(positions, 2), w.shape);
}
