/** Objects of a SoundShapes scene and their motion: drawn once from a random key, evaluated at any time. */
import { at } from "../../arrays.js";
import type { Random } from "../../random.js";
import type { Kind } from "./kinds.js";
import { type Background, drawBackground, drawPaint, type Paint } from "./paint.js";

/** One object: its kind, and its appearance, which does not depend on the kind. */
export interface SceneObject {
  readonly kind: Kind;
  /** Nominal radius as a fraction of the frame's side. */
  readonly radius: number;
  /** Width over height of the outline, before rotation. */
  readonly aspect: number;
  readonly angle: number;
  readonly radiansPerSecond: number;
  readonly path: Path;
  readonly paint: Paint;
}

/** A straight path from one point to another over the clip, with an oscillation across it. */
interface Path {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly swing: number;
  readonly swingHz: number;
  readonly phase: number;
}

/** A scene: later objects lie in front of earlier ones. */
export interface Scene {
  readonly durationSeconds: number;
  readonly background: Background;
  readonly objects: readonly SceneObject[];
  /** Camera path over the background's margin, 0 to 1 per axis at the start and at the end. */
  readonly camera: { readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number };
  /** Standard deviation of the pixel noise in gray levels. */
  readonly noise: number;
}

/** Overlap of two discs, as a fraction of the smaller diameter, that placement tries to stay below. */
const allowedOverlap = 0.15;
const placements = 80;

/** Draws a scene of objects of the given kinds, back to front. */
export function drawScene(random: Random, objectKinds: readonly Kind[], durationSeconds: number): Scene {
  const background = drawBackground(random);
  const largest = [0.225, 0.225, 0.21, 0.18][objectKinds.length - 1] ?? 0.15;
  const bodies = objectKinds.map((kind) => ({
    kind,
    radius: random.uniform(0.14, largest),
    aspect: Math.exp(random.uniform(-0.14, 0.14)),
    angle: random.uniform(0, 2 * Math.PI),
    radiansPerSecond: random.uniform(-0.6, 0.6),
    paint: drawPaint(random, background),
  }));
  const paths = drawPaths(
    random,
    bodies.map((body) => body.radius),
    durationSeconds,
  );
  return {
    durationSeconds,
    background,
    objects: bodies.map((body, i) => ({ ...body, path: paths[i] as Path })),
    camera: { x0: random.uniform(), y0: random.uniform(), x1: random.uniform(), y1: random.uniform() },
    noise: random.uniform(3, 12),
  };
}

/** The center of an object at a time, as fractions of the frame's side. */
export function positionAt(path: Path, seconds: number, durationSeconds: number): [x: number, y: number] {
  const along = seconds / durationSeconds;
  const dx = path.x1 - path.x0;
  const dy = path.y1 - path.y0;
  const sideways = path.swing * Math.sin(2 * Math.PI * path.swingHz * seconds + path.phase);
  const norm = Math.hypot(dx, dy) + 1e-9;
  return [path.x0 + along * dx - (sideways * dy) / norm, path.y0 + along * dy + (sideways * dx) / norm];
}

/** Tries placements until objects hardly overlap at any time, and returns the best. */
function drawPaths(random: Random, radii: readonly number[], durationSeconds: number): Path[] {
  let best: Path[] = [];
  let bestOverlap = Infinity;
  for (let attempt = 0; attempt < placements && bestOverlap > allowedOverlap; attempt++) {
    const paths = radii.map((radius) => drawPath(random, radius));
    const overlap = worstOverlap(paths, radii, durationSeconds);
    if (overlap < bestOverlap) {
      best = paths;
      bestOverlap = overlap;
    }
  }
  return best;
}

function drawPath(random: Random, radius: number): Path {
  const low = 0.9 * radius;
  const place = (): number => random.uniform(low, 1 - low);
  const x0 = place();
  const y0 = place();
  // Short paths are as common as long ones: with four objects, long ones nearly always collide.
  const reach = random.uniform();
  const towards = (from: number): number => from + reach * (place() - from);
  return {
    x0,
    y0,
    x1: towards(x0),
    y1: towards(y0),
    swing: random.uniform(0, 0.03),
    swingHz: random.uniform(0.2, 0.7),
    phase: random.uniform(0, 2 * Math.PI),
  };
}

function worstOverlap(paths: readonly Path[], radii: readonly number[], durationSeconds: number): number {
  let worst = 0;
  for (let seconds = 0; seconds <= durationSeconds; seconds += 0.5) {
    const points = paths.map((path) => positionAt(path, seconds, durationSeconds));
    points.forEach(([x, y], i) => {
      for (let j = 0; j < i; j++) {
        const [u, v] = points[j] as [number, number];
        const [a, b] = [at(radii, i), at(radii, j)];
        worst = Math.max(worst, (a + b - Math.hypot(x - u, y - v)) / (2 * Math.min(a, b)));
      }
    });
  }
  return worst;
}
