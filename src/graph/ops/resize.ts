/** Resizing of the last two axes, with the coordinates of PyTorch. */
import { f32At } from "../../arrays.js";
import { defineOp } from "../define-op.js";
import { dim, shape4 } from "../shapes.js";
import type { Value } from "../value.js";
import { constant } from "./leaves.js";
import { matmul } from "./matmul.js";

/**
 * `nearest`: source = floor(i * in/out), in single precision. `bilinear`: half-pixel centers, edges clamped.
 * `bilinear-corners`: the corner pixels of both grids coincide (PyTorch's `align_corners=True`).
 */
export type ResizeMode = "nearest" | "bilinear" | "bilinear-corners";

const coordinates = {
  nearest: "asymmetric",
  bilinear: "half_pixel",
  "bilinear-corners": "align_corners",
} as const satisfies Record<ResizeMode, string>;

/** Options of `resize`: how, and the new size in pixels. */
export interface ResizeOptions {
  readonly mode: ResizeMode;
  readonly height: number;
  readonly width: number;
}

type ResizeAttrs = { readonly [K in keyof ResizeOptions]: ResizeOptions[K] };

const resizeOp = defineOp<readonly [Value], ResizeAttrs>({
  name: "Resize",
  shape: ([x], { height, width }) => [...shape4(x, "Resize").slice(0, 2), height, width],
  // Resizing is linear and separable: y = R x C^T, so dL/dx = R^T g C.
  grad: ({ g, inputs: [x], attrs: { mode, height, width } }) => {
    const rows = interpolation(mode, dim(x, 2), height);
    const columns = interpolation(mode, dim(x, 3), width);
    return [matmul(rows, matmul(g, columns), { transA: true })];
  },
  onnx: (e, [x], { mode, height, width }, [value]) => {
    const axes = [
      { axis: 2, from: dim(value, 2), to: height },
      { axis: 3, from: dim(value, 3), to: width },
    ];
    if (mode === "nearest" && !axes.every(({ from, to }) => picksSamePixels(from, to))) {
      return axes.reduce(
        (name, { axis, from, to }) =>
          e.op("Gather", [name, e.ints(nearestIndices(from, to))], { axis: { i: axis } }),
        x,
      );
    }
    return e.op("Resize", [x, "", "", e.ints([dim(value, 0), dim(value, 1), height, width])], {
      mode: { s: mode === "nearest" ? "nearest" : "linear" },
      coordinate_transformation_mode: { s: coordinates[mode] },
      nearest_mode: { s: "floor" },
    });
  },
});

/** Which of `from` pixels each of `to` pixels is, rounded as PyTorch rounds. */
function nearestIndices(from: number, to: number): number[] {
  const scale = Math.fround(from / to);
  return Array.from({ length: to }, (_, i) => Math.min(Math.floor(Math.fround(i * scale)), from - 1));
}

/** Whether ONNX Runtime, which divides by the inverse scale, picks the same pixels; from 14 to 4 it does not. */
function picksSamePixels(from: number, to: number): boolean {
  const inverse = Math.fround(to / from);
  return nearestIndices(from, to).every((index, i) => index === Math.floor(Math.fround(i / inverse)));
}

/** Resizes `[B,C,H,W]` to `[B,C,height,width]` as `torch.nn.functional.interpolate` does. */
export function resize(x: Value, { mode, height, width }: ResizeOptions): Value {
  if (dim(x, 2) === height && dim(x, 3) === width) return x;
  return resizeOp([x], { mode, height, width });
}

/**
 * Resizes `[B,C,H,W]` to `[B,C,height,width]` as `interpolate(mode="bicubic")` of PyTorch does: half-pixel centers, edges
 * repeated, no smoothing where it shrinks.
 */
export function resizeBicubic(
  x: Value,
  { height, width }: { readonly height: number; readonly width: number },
): Value {
  const [, , fromHeight, fromWidth] = shape4(x, "Resize");
  if (fromHeight === height && fromWidth === width) return x;
  const rows = cubicMatrix({ from: fromHeight, to: height });
  const columns = cubicMatrix({ from: fromWidth, to: width });
  return matmul(rows, matmul(x, columns, { transB: true }));
}

/** An axis of `from` elements that becomes one of `to`. */
export interface CubicAxis {
  readonly from: number;
  readonly to: number;
  /** Output i reads at (i + 0.5) / scale - 0.5. Default: to / from. */
  readonly scale?: number | undefined;
}

/** The matrix `[to,from]` of cubic convolution along one axis (Keys 1981, a = -0.75), edges repeated. */
export function cubicMatrix({ from, to, scale = to / from }: CubicAxis): Value {
  const data = new Float32Array(to * from);
  for (let i = 0; i < to; i++) {
    const position = (i + 0.5) / scale - 0.5;
    const first = Math.floor(position) - 1;
    for (let tap = 0; tap < 4; tap++) {
      const index = i * from + Math.min(Math.max(first + tap, 0), from - 1);
      data[index] = f32At(data, index) + cubicWeight(position - first - tap);
    }
  }
  return constant({ dtype: "f32", shape: [to, from], data });
}

function cubicWeight(distance: number): number {
  const a = -0.75;
  const d = Math.abs(distance);
  return d <= 1 ? ((a + 2) * d - (a + 3)) * d * d + 1 : ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
}

/** The matrix `[to,from]` that resizes one axis. */
export function interpolation(mode: ResizeMode, from: number, to: number): Value {
  const data = new Float32Array(to * from);
  if (mode === "nearest") {
    for (const [i, index] of nearestIndices(from, to).entries()) data[i * from + index] = 1;
    return constant({ dtype: "f32", shape: [to, from], data });
  }
  for (let i = 0; i < to; i++) {
    const position = mode === "bilinear" ? halfPixel(i, from, to) : cornerAligned(i, from, to);
    const low = Math.min(Math.floor(position), from - 1);
    const high = Math.min(low + 1, from - 1);
    const fraction = position - low;
    data[i * from + low] = f32At(data, i * from + low) + 1 - fraction;
    data[i * from + high] = f32At(data, i * from + high) + fraction;
  }
  return constant({ dtype: "f32", shape: [to, from], data });
}

/** Position of pixel `i` of `to` among `from` when both grids cover the same area. */
function halfPixel(i: number, from: number, to: number): number {
  return Math.max(((i + 0.5) * from) / to - 0.5, 0);
}

/** Position of pixel `i` of `to` among `from` when the first and the last pixels coincide; a single pixel is the first. */
function cornerAligned(i: number, from: number, to: number): number {
  return to === 1 ? 0 : (i * (from - 1)) / (to - 1);
}
