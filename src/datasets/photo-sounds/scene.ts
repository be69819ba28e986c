/** Where the objects of a PhotoSounds clip stand, how they move and how they are lit: drawn once, evaluated at any time. */
import { at } from "../../arrays.js";
import type { Random } from "../../random.js";
import type { Motion } from "./catalog.js";

/** An object of a scene; lengths are fractions of the frame's side, x points right and y down. */
export interface SceneObject {
  /** Width and height of the cut-out at the middle of the clip, before it is turned. */
  readonly width: number;
  readonly height: number;
  readonly mirrored: boolean;
  readonly path: Path;
  /** Turn in radians at rest, and how far and how often it sways around that. */
  readonly angle: number;
  readonly sway: number;
  readonly swayHz: number;
  /** Size at the end over size at the start. */
  readonly growth: number;
  readonly light: Light;
  /** Opacity of the shadow on the ground, 0 for objects in the air, and how far it leans to the side. */
  readonly shadow: number;
  readonly shadowLean: number;
}

/** A straight path of the object's center over the clip, with an oscillation up and down. */
interface Path {
  readonly x0: number;
  readonly y0: number;
  readonly x1: number;
  readonly y1: number;
  readonly bob: number;
  readonly bobHz: number;
  readonly phase: number;
}

/** How a cut-out is relit. */
export interface Light {
  readonly brightness: number;
  readonly saturation: number;
  readonly contrast: number;
  /** How far its colors go towards the background's mean color, 0 to 1. */
  readonly tint: number;
}

/** The path of the camera over the margin of the background: offsets from its middle, in fractions of the side. */
export interface Camera {
  readonly pan: readonly [x: number, y: number];
  /** Amplitude, frequency and phase of the shaking, for x and y. */
  readonly shake: readonly (readonly [amplitude: number, hz: number, phase: number])[];
}

/** A scene without its pixels. */
export interface Scene {
  readonly durationSeconds: number;
  readonly objects: readonly SceneObject[];
  /** Indices of the objects, back to front. */
  readonly order: readonly number[];
  readonly camera: Camera;
  /** The part of the background that is used: its middle as a fraction, and its size over the largest square. */
  readonly crop: { readonly x: number; readonly y: number; readonly size: number };
  readonly mirrored: boolean;
  /** Gains of red, green and blue, and the exponent of the tone curve. */
  readonly gains: readonly [number, number, number];
  readonly gamma: number;
  /** Standard deviation of the pixel noise in gray levels. */
  readonly noise: number;
  /** Blur of the whole frame in pixels at a size of 224, 0 for none. */
  readonly blur: number;
}

/** Side of the background's canvas over the frame's: the room that the camera has. */
export const canvasExtent = 1.12;

/** Square root of the area of an object's box over the frame's side, by the number of objects. */
const sizes: readonly (readonly [number, number])[] = [
  [0.34, 0.62],
  [0.3, 0.5],
  [0.27, 0.43],
  [0.24, 0.38],
  [0.22, 0.34],
];
const longestSide = 0.92;
/** Overlap of two boxes, as a fraction of the smaller one, that placement tries to stay below; some clips allow more. */
const allowedOverlap = 0.08;
const occludedOverlap = 0.35;
const occludedChance = 0.25;
const placements = 60;

/** Width of an object that is seen from near, over the frame's side, and the bounds of its height. */
const nearWidths = [0.55, 1.15] as const;
const nearHeights = [0.35, 2.6] as const;

/** What the scene needs to know about an object: width over height of its cut-out, and how its class moves. */
export interface Body {
  readonly aspect: number;
  readonly moves: Motion;
}

/** What a scene is drawn of. */
export interface SceneOptions {
  readonly bodies: readonly Body[];
  readonly durationSeconds: number;
  /** Index of an object that fills the frame, behind the others; absent for none. */
  readonly near?: number | undefined;
}

/** Draws a scene of objects. */
export function drawScene(random: Random, { bodies, durationSeconds, near }: SceneOptions): Scene {
  const range = sizes[Math.min(bodies.length, sizes.length) - 1] ?? [0.2, 0.3];
  const limit = random.uniform() < occludedChance ? occludedOverlap : allowedOverlap;
  let best: SceneObject[] = [];
  let bestOverlap = Infinity;
  for (let attempt = 0; attempt < placements && bestOverlap > limit; attempt++) {
    const objects = bodies.map((body, i) => drawObject(random, body, i === near ? "near" : range));
    const overlap = worstOverlap(
      objects.filter((_, i) => i !== near),
      durationSeconds,
    );
    if (overlap < bestOverlap) [best, bestOverlap] = [objects, overlap];
  }
  const foot = (i: number): number => {
    if (i === near) return -Infinity;
    const object = best[i] as SceneObject;
    return object.path.y0 + object.height / 2;
  };
  const warm = random.normal() * 0.05;
  return {
    durationSeconds,
    objects: best,
    order: best.map((_, i) => i).sort((a, b) => foot(a) - foot(b)),
    camera: drawCamera(random),
    crop: { x: random.uniform(), y: random.uniform(0.3, 1), size: random.uniform(0.62, 1) },
    mirrored: random.uniform() < 0.5,
    gains: [1 + warm, 1 + random.normal() * 0.015, 1 - warm],
    gamma: Math.exp(random.normal() * 0.14),
    noise: random.uniform(0.5, 5),
    blur: random.uniform() < 0.3 ? random.uniform(0.3, 0.9) : 0,
  };
}

function drawCamera(random: Random): Camera {
  const still = random.uniform() < 0.3;
  const pan = still ? 0 : random.uniform(0, 0.045);
  const direction = random.uniform(0, 2 * Math.PI);
  const strength = random.uniform() < 0.4 ? 0 : random.uniform(0.001, 0.006);
  return {
    pan: [pan * Math.cos(direction), 0.5 * pan * Math.sin(direction)],
    shake: Array.from({ length: 4 }, (_, i) => [
      strength / (1 + Math.floor(i / 2)),
      random.uniform(0.6, 1.8) * (1 + 1.7 * Math.floor(i / 2)),
      random.uniform(0, 2 * Math.PI),
    ]),
  };
}

function drawObject(
  random: Random,
  { aspect, moves }: Body,
  range: readonly [number, number] | "near",
): SceneObject {
  const [width, height] = range === "near" ? nearSize(random, aspect) : farSize(random, aspect, range);
  const flies = moves === "air";
  const place = (): [number, number] => {
    if (range === "near") {
      // Of what is taller than the frame the upper part is seen: a head.
      const top = random.uniform(0.02, Math.max(0.05, Math.min(0.4, 1.05 - height)));
      return [random.uniform(0.35, 0.65), top + height / 2];
    }
    // Objects may stick out of the frame a little.
    const x = random.uniform(0.42 * width, 1 - 0.42 * width);
    if (flies) return [x, random.uniform(0.42 * height, Math.max(0.43 * height, 0.75 - 0.4 * height))];
    // Feet stand on the lower part of the picture.
    const lowest = Math.min(0.98, 1.04 - 0.06 * random.uniform());
    return [x, random.uniform(Math.min(lowest, Math.max(0.62, 0.9 * height)), lowest) - height / 2];
  };
  const [x0, y0] = place();
  const reach = { still: 0, walks: 0.16, rolls: 0.4, air: 0.35 }[moves] * random.uniform();
  const room = random.uniform() < 0.5 ? 1 - 0.42 * width - x0 : 0.42 * width - x0;
  const dx = Math.sign(room) * Math.min(Math.abs(room), reach);
  const dy = flies ? reach * random.uniform(-0.3, 0.3) : reach * random.uniform(-0.08, 0.08);
  const tilt = { still: 0.16, walks: 0.05, rolls: 0.02, air: 0.14 }[moves];
  return {
    width,
    height,
    mirrored: random.uniform() < 0.5,
    path: {
      x0,
      y0,
      x1: x0 + dx,
      y1: y0 + dy,
      bob: { still: 0, walks: 0.008, rolls: 0.002, air: 0.02 }[moves] * random.uniform(),
      bobHz: random.uniform(0.4, 1.6),
      phase: random.uniform(0, 2 * Math.PI),
    },
    angle: tilt * random.normal(),
    sway: { still: 0, walks: 0.035, rolls: 0.004, air: 0.05 }[moves] * random.uniform(),
    swayHz: random.uniform(0.3, 1.1),
    growth: moves === "still" ? 1 : Math.exp(random.normal() * 0.06),
    light: {
      brightness: Math.exp(random.normal() * 0.16),
      saturation: Math.exp(random.normal() * 0.2),
      contrast: Math.exp(random.normal() * 0.12),
      tint: random.uniform(0, 0.14),
    },
    shadow: flies ? 0 : random.uniform(0.2, 0.6),
    shadowLean: random.uniform(-1, 1),
  };
}

/** Width and height of an object whose box has an area within the squares of a range. */
function farSize(
  random: Random,
  aspect: number,
  [small, large]: readonly [number, number],
): [width: number, height: number] {
  const side = random.uniform(small, large);
  const stretch = Math.sqrt(aspect);
  const shrink = Math.min(1, longestSide / (side * Math.max(stretch, 1 / stretch)));
  return [side * stretch * shrink, (side / stretch) * shrink];
}

/** Width and height of an object that fills the frame. */
function nearSize(random: Random, aspect: number): [width: number, height: number] {
  const [least, most] = nearHeights;
  const height = Math.max(least, Math.min(most, random.uniform(...nearWidths) / aspect));
  return [height * aspect, height];
}

/** Where an object is at a time. */
export interface Pose {
  readonly x: number;
  readonly y: number;
  readonly angle: number;
  readonly scale: number;
}

/** The pose of an object, seen by a camera at rest. */
export function poseAt(object: SceneObject, seconds: number, durationSeconds: number): Pose {
  const along = seconds / durationSeconds;
  const { x0, y0, x1, y1, bob, bobHz, phase } = object.path;
  return {
    x: x0 + along * (x1 - x0),
    y: y0 + along * (y1 - y0) + bob * Math.sin(2 * Math.PI * bobHz * seconds + phase),
    angle: object.angle + object.sway * Math.sin(2 * Math.PI * object.swayHz * seconds + phase),
    scale: object.growth ** (along - 0.5),
  };
}

/** How far the camera has moved from its middle, in fractions of the frame's side; less than the canvas' margin. */
export function cameraAt(
  { pan, shake }: Camera,
  seconds: number,
  durationSeconds: number,
): [x: number, y: number] {
  const along = 2 * (seconds / durationSeconds) - 1;
  const offset = [along * pan[0], along * pan[1]];
  shake.forEach(([amplitude, hz, phase], i) => {
    offset[i % 2] = at(offset, i % 2) + amplitude * Math.sin(2 * Math.PI * hz * seconds + phase);
  });
  const margin = 0.98 * ((canvasExtent - 1) / 2);
  const bounded = (value: number): number => Math.max(-margin, Math.min(margin, value));
  return [bounded(at(offset, 0)), bounded(at(offset, 1))];
}

function worstOverlap(objects: readonly SceneObject[], durationSeconds: number): number {
  let worst = 0;
  for (const along of [0, 0.5, 1]) {
    const poses = objects.map((object) => poseAt(object, along * durationSeconds, durationSeconds));
    objects.forEach((a, i) => {
      for (let j = 0; j < i; j++) {
        const b = objects[j] as SceneObject;
        const [p, q] = [poses[i] as Pose, poses[j] as Pose];
        const w = (a.width + b.width) / 2 - Math.abs(p.x - q.x);
        const h = (a.height + b.height) / 2 - Math.abs(p.y - q.y);
        if (w <= 0 || h <= 0) continue;
        const smaller = Math.min(a.width * a.height, b.width * b.height);
        worst = Math.max(worst, (Math.min(w, a.width, b.width) * Math.min(h, a.height, b.height)) / smaller);
      }
    });
  }
  return worst;
}
