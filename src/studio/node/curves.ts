/** The numbers of a log as curves over steps. */
import type { LogLine } from "../../training/run-log.js";
import type { Curve } from "../protocol.js";

/** More points cannot be distinguished on a screen. */
const maxPoints = 600;
/** A log with more names is not one of ours. */
const maxCurves = 40;

/**
 * A curve for every number in the lines: `step.loss`, `epoch.loss`, `epoch.validation.miou`. Of a long log each point is
 * the mean of consecutive ones. Values that are not finite are left out.
 */
export function curvesOf(lines: readonly LogLine[]): Curve[] {
  const curves = new Map<string, [number, number][]>();
  const add = (name: string, step: number, value: unknown): void => {
    if (typeof value === "number" && Number.isFinite(value)) {
      const points = curves.get(name) ?? [];
      if (points.length === 0 && curves.size === maxCurves) return;
      points.push([step, value]);
      curves.set(name, points);
    } else if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [key, inner] of Object.entries(value)) {
        if (typeof inner === "number") add(`${name}.${key}`, step, inner);
      }
    }
  };
  for (const { kind, step, ...values } of lines) {
    for (const [key, value] of Object.entries(values))
      if (key !== "epoch") add(`${kind}.${key}`, step, value);
  }
  return [...curves].map(([name, points]) => ({ name, ...thinned(points) }));
}

function thinned(points: readonly [number, number][]): Pick<Curve, "points" | "each"> {
  const each = Math.ceil(points.length / maxPoints);
  if (each <= 1) return { points: [...points], each: 1 };
  const out: [number, number][] = [];
  for (let i = 0; i < points.length; i += each) {
    const part = points.slice(i, i + each);
    const [step] = part.at(-1) ?? [0];
    out.push([step, part.reduce((sum, [, value]) => sum + value, 0) / part.length]);
  }
  return { points: out, each };
}
