/** The kinds of objects in SoundShapes and their outlines. What they sound like is in `voices.ts`. */
import { at } from "../../arrays.js";

/** The eight kinds of the benchmark. */
export const kinds = ["disc", "triangle", "square", "star", "cross", "ring", "crescent", "heart"] as const;

/** Two more kinds, which no shipped model was trained on, to show fine-tuning on something new. */
export const novelKinds = ["arrow", "hourglass"] as const;

/** A kind of object: one outline and one sort of sound. */
export type Kind = (typeof kinds)[number] | (typeof novelKinds)[number];

/** Class names by label, `background` first, when a dataset uses the kinds `used`. */
export function classNames(used: readonly Kind[] = kinds): string[] {
  return ["background", ...used];
}

/** The label of a kind in masks when a dataset uses the kinds `used`: 1 for the first; 0 is the background. */
export function labelOf(kind: Kind, used: readonly Kind[] = kinds): number {
  return 1 + used.indexOf(kind);
}

/** Whether `name` is a kind. */
export function isKind(name: string): name is Kind {
  return ([...kinds, ...novelKinds] as string[]).includes(name);
}

/**
 * Signed distance of a point from a kind's outline, negative inside. The unit is the object's
 * nominal radius, x points right and y down; sizes are chosen so that areas are similar.
 */
export function signedDistance(kind: Kind, x: number, y: number): number {
  return outlines[kind](x, y);
}

/** Every outline fits in a circle of this radius around the origin. */
export const outlineReach = 1.2;

const outlines: Record<Kind, (x: number, y: number) => number> = {
  disc: (x, y) => length(x, y) - 0.92,
  triangle: polygon(regular(3, 1.17)),
  square: (x, y) => box(x, y, 0.8, 0.8),
  star: polygon(regular(10, 1.15, 0.5)),
  cross: (x, y) => Math.min(box(x, y, 1, 0.34), box(x, y, 0.34, 1)),
  ring: (x, y) => Math.abs(length(x, y) - 0.76) - 0.24,
  crescent: (x, y) => Math.max(length(x, y) - 1.05, 0.82 - length(x - 0.6, y)),
  heart: polygon(heart(28)),
  arrow: polygon([-1, -0.28, 0.05, -0.28, 0.05, -0.8, 1.1, 0, 0.05, 0.8, 0.05, 0.28, -1, 0.28]),
  hourglass: polygon([-0.74, -0.9, 0.74, -0.9, 0.14, 0, 0.74, 0.9, -0.74, 0.9, -0.14, 0]),
};

/** Euclidean length; `Math.hypot` guards against overflow and is several times slower. */
function length(x: number, y: number): number {
  return Math.sqrt(x * x + y * y);
}

function box(x: number, y: number, halfWidth: number, halfHeight: number): number {
  const dx = Math.abs(x) - halfWidth;
  const dy = Math.abs(y) - halfHeight;
  return length(Math.max(dx, 0), Math.max(dy, 0)) + Math.min(Math.max(dx, dy), 0);
}

/** Corners of a regular polygon; with `inner`, every second corner lies at that radius (a star). */
function regular(corners: number, radius: number, inner = radius): number[] {
  return Array.from({ length: corners }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners - Math.PI / 2;
    const r = i % 2 === 0 ? radius : inner;
    return [r * Math.cos(angle), r * Math.sin(angle)];
  }).flat();
}

function heart(corners: number): number[] {
  return Array.from({ length: corners }, (_, i) => {
    const t = (2 * Math.PI * i) / corners;
    const up = 13 * Math.cos(t) - 5 * Math.cos(2 * t) - 2 * Math.cos(3 * t) - Math.cos(4 * t);
    return [(16 * Math.sin(t) ** 3) / 16, (-up - 2) / 15.5];
  }).flat();
}

/** Exact signed distance to a simple polygon given as x0, y0, x1, y1, ... */
function polygon(points: readonly number[]): (x: number, y: number) => number {
  const p = Float64Array.from(points);
  return (x, y) => {
    let nearest = Infinity;
    let inside = false;
    let ax = at(p, p.length - 2);
    let ay = at(p, p.length - 1);
    for (let i = 0; i < p.length; i += 2) {
      const bx = at(p, i);
      const by = at(p, i + 1);
      const ex = bx - ax;
      const ey = by - ay;
      const along = Math.min(1, Math.max(0, ((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey)));
      const dx = x - ax - along * ex;
      const dy = y - ay - along * ey;
      nearest = Math.min(nearest, dx * dx + dy * dy);
      if (ay > y !== by > y && x < ax + ((y - ay) / ey) * ex) inside = !inside;
      ax = bx;
      ay = by;
    }
    return inside ? -Math.sqrt(nearest) : Math.sqrt(nearest);
  };
}
