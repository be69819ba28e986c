/** Colors and textures of SoundShapes, in units of the frame's side so that all image sizes look alike. */
import { at, f32At } from "../../arrays.js";
import type { Random } from "../../random.js";

/** Red, green and blue, 0..255. */
export type Color = readonly [number, number, number];

const patterns = ["plain", "stripes", "checks", "dots", "marble", "fade"] as const;

/** How an object is filled: two colors mixed by a pattern in the object's own coordinates. */
export interface Paint {
  readonly pattern: (typeof patterns)[number];
  readonly first: Color;
  readonly second: Color;
  /** Radians per object radius. */
  readonly frequency: number;
  readonly phase: number;
  /** Brightness of the rim relative to the inside; 1 for no rim. */
  readonly rim: number;
}

/** A band of color across the background. */
interface Stroke {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly halfWidth: number;
  /** 0 for a hard edge; otherwise the width over which the band fades. */
  readonly softness: number;
  readonly color: Color;
  readonly opacity: number;
}

/** Everything that decides a background's pixels. */
export interface Background {
  readonly colors: readonly [Color, Color, Color];
  /** Three lattices of random numbers, coarse to fine; see `latticeCells`. */
  readonly lattices: readonly Float32Array[];
  readonly stripes: { readonly dx: number; readonly dy: number; readonly strength: number };
  readonly strokes: readonly Stroke[];
}

/** The background is this many times as wide as the frame, as a margin for the camera path. */
export const backgroundExtent = 1.16;

const latticeCells = [4, 9, 21] as const;
const latticeWeights = [0.55, 0.3, 0.15] as const;

/** Draws a random color; `saturation` bounds how vivid it can be. */
function drawColor(random: Random, saturation: number): Color {
  const hue = random.uniform(0, 6);
  const s = random.uniform(0, saturation);
  const value = random.uniform(40, 250);
  const channel = (offset: number): number => {
    const k = (offset + hue) % 6;
    return value * (1 - s * Math.max(0, Math.min(k, 4 - k, 1)));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Distance between colors, 0 to about 440. */
function contrast(a: Color, b: Color): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** A color at least `distance` away from all of `others`, or the best of 40 draws. */
function drawContrasting(random: Random, others: readonly Color[], distance: number): Color {
  let best: Color = [255, 255, 255];
  let bestDistance = -1;
  for (let attempt = 0; attempt < 40 && bestDistance < distance; attempt++) {
    const color = drawColor(random, 1);
    const nearest = Math.min(...others.map((other) => contrast(color, other)));
    if (nearest > bestDistance) {
      best = color;
      bestDistance = nearest;
    }
  }
  return best;
}

/** Draws a background: three mixed colors, faint stripes, and strokes and blotches as clutter. */
export function drawBackground(random: Random): Background {
  const base = drawColor(random, 0.7);
  const near = (spread: number): Color => [
    clamp(base[0] + random.uniform(-spread, spread)),
    clamp(base[1] + random.uniform(-spread, spread)),
    clamp(base[2] + random.uniform(-spread, spread)),
  ];
  const colors = [base, near(70), near(70)] as const;
  const lattices = latticeCells.map((cells) => {
    const lattice = new Float32Array((cells + 1) ** 2);
    return lattice.map(() => random.uniform());
  });
  const stripeAngle = random.uniform(0, Math.PI);
  const stripeFrequency = random.uniform(30, 110);
  const strokes = Array.from({ length: 10 + random.integer(14) }, (): Stroke => {
    const x0 = random.uniform(-0.1, backgroundExtent);
    const y0 = random.uniform(-0.1, backgroundExtent);
    const blotch = random.uniform() < 0.3;
    const reach = blotch ? 0.06 : random.uniform(0.08, 0.6);
    const angle = random.uniform(0, 2 * Math.PI);
    return {
      x0,
      y0,
      x1: x0 + reach * Math.cos(angle),
      y1: y0 + reach * Math.sin(angle),
      halfWidth: blotch ? random.uniform(0.01, 0.05) : random.uniform(0.003, 0.014),
      softness: blotch ? random.uniform(0.03, 0.09) : 0,
      color: near(110),
      opacity: random.uniform(0.35, 0.9),
    };
  });
  return {
    colors,
    lattices,
    stripes: {
      dx: stripeFrequency * Math.cos(stripeAngle),
      dy: stripeFrequency * Math.sin(stripeAngle),
      strength: random.uniform() < 0.4 ? random.uniform(4, 16) : 0,
    },
    strokes,
  };
}

/** Draws an object's paint: any pattern, and colors that stand out from the background. */
export function drawPaint(random: Random, background: Background): Paint {
  const first = drawContrasting(random, background.colors, 95);
  return {
    pattern: random.pick(patterns),
    first,
    second: drawContrasting(random, background.colors, 75),
    frequency: random.uniform(4, 9),
    phase: random.uniform(0, 2 * Math.PI),
    rim: random.uniform() < 0.5 ? random.uniform(0.5, 0.8) : 1,
  };
}

/** Fraction of a paint's second color at a point of the object, 0 to 1; (x, y) in object radii. */
export function patternAt(paint: Paint, x: number, y: number): number {
  const f = paint.frequency;
  switch (paint.pattern) {
    case "plain":
      return 0;
    case "stripes":
      return Math.sin(f * x + paint.phase) > 0 ? 1 : 0;
    case "checks":
      return Math.sin(f * x + paint.phase) > 0 === Math.sin(f * y) > 0 ? 1 : 0;
    case "dots":
      return Math.sin(f * x + paint.phase) * Math.sin(f * y) > 0.35 ? 1 : 0;
    case "marble":
      return 0.5 + 0.5 * Math.sin(f * x + 2 * Math.sin(0.6 * f * y + paint.phase));
    case "fade":
      return Math.min(1, Math.max(0, 0.5 + 0.5 * x));
  }
}

/** Paints a background on a canvas of `size` x `size` pixels; `unit` is the frame's side. `f32[size,size,3]` */
export function paintBackground(background: Background, size: number, unit: number): Float32Array {
  const out = new Float32Array(size * size * 3);
  const [a, b, c] = background.colors;
  const [coarse, middle, fine] = background.lattices.map((lattice, i) =>
    stretch(lattice, at(latticeCells, i), size),
  ) as [Float32Array, Float32Array, Float32Array];
  const { dx, dy, strength } = background.stripes;
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const i = y * size + x;
      const grain = latticeWeights[2] * f32At(fine, i);
      const u = contrasted(
        latticeWeights[0] * f32At(coarse, i) + latticeWeights[1] * f32At(middle, i) + grain,
      );
      // The same lattices, mirrored and weighted differently, serve as a second noise field.
      const j = (size - 1 - x) * size + y;
      const v = contrasted(0.4 * f32At(coarse, j) + 0.45 * f32At(middle, j) + grain);
      const stripe = strength === 0 ? 0 : strength * Math.sin((dx * x + dy * y) / unit);
      for (let channel = 0; channel < 3; channel++) {
        const ab = at(a, channel) + u * (at(b, channel) - at(a, channel));
        out[3 * i + channel] = ab + v * (at(c, channel) - ab) + stripe;
      }
    }
  }
  for (const stroke of background.strokes) paintStroke(out, { size, unit }, stroke);
  return out;
}

/** Spreads values around 0.5 over 0..1. */
function contrasted(value: number): number {
  return Math.min(1, Math.max(0, 0.5 + 2.2 * (value - 0.5)));
}

function clamp(value: number): number {
  return Math.min(255, Math.max(0, value));
}

/** Smooth interpolation of a lattice of (cells + 1)^2 numbers to size x size. */
function stretch(lattice: Float32Array, cells: number, size: number): Float32Array {
  const out = new Float32Array(size * size);
  const width = cells + 1;
  for (let y = 0; y < size; y++) {
    const v = (y / size) * cells;
    const row = Math.floor(v);
    const fy = smooth(v - row);
    for (let x = 0; x < size; x++) {
      const u = (x / size) * cells;
      const column = Math.floor(u);
      const fx = smooth(u - column);
      const k = row * width + column;
      const top = f32At(lattice, k) * (1 - fx) + f32At(lattice, k + 1) * fx;
      const bottom = f32At(lattice, k + width) * (1 - fx) + f32At(lattice, k + width + 1) * fx;
      out[y * size + x] = top + fy * (bottom - top);
    }
  }
  return out;
}

function smooth(t: number): number {
  return t * t * (3 - 2 * t);
}

function paintStroke(
  out: Float32Array,
  { size, unit }: { size: number; unit: number },
  stroke: Stroke,
): void {
  const { x0, y0, x1, y1, halfWidth, softness, color, opacity } = stroke;
  const margin = halfWidth + softness + 1 / unit;
  const left = Math.max(0, Math.floor((Math.min(x0, x1) - margin) * unit));
  const right = Math.min(size, Math.ceil((Math.max(x0, x1) + margin) * unit));
  const top = Math.max(0, Math.floor((Math.min(y0, y1) - margin) * unit));
  const bottom = Math.min(size, Math.ceil((Math.max(y0, y1) + margin) * unit));
  const ex = x1 - x0;
  const ey = y1 - y0;
  const squared = ex * ex + ey * ey;
  const edge = Math.max(softness, 1 / unit);
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const px = x / unit - x0;
      const py = y / unit - y0;
      const along = Math.min(1, Math.max(0, (px * ex + py * ey) / squared));
      const dx = px - along * ex;
      const dy = py - along * ey;
      const beyond = Math.sqrt(dx * dx + dy * dy) - halfWidth;
      const alpha = opacity * Math.min(1, Math.max(0, 0.5 - beyond / edge));
      if (alpha <= 0) continue;
      const i = 3 * (y * size + x);
      for (let channel = 0; channel < 3; channel++) {
        const under = f32At(out, i + channel);
        out[i + channel] = under + alpha * (at(color, channel) - under);
      }
    }
  }
}
