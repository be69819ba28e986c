import assert from "node:assert/strict";
import test from "node:test";
import { type ImageTensor, resizeBilinear } from "../media/resize.js";
import { edgeGrid, guideSize } from "./grid.js";
import { maskOf } from "./mask.js";
import type { ProbabilityMap } from "./probability-map.js";
import { EdgeRefiner } from "./refine.js";

const side = 448;

/** A disk that sounds, and what a model says of it. */
interface Scene {
  readonly radius: number;
  /** How far to the right a silent disk alike lies. */
  readonly silentAt: number;
  /** Cells per row and column of the model's map, and by how many of them what it marks is too small. */
  readonly coarse: number;
  readonly tooSmall: number;
}

const large: Scene = { radius: 90, silentAt: Number.POSITIVE_INFINITY, coarse: 28, tooSmall: 0.875 };
const small: Scene = { radius: 8, silentAt: 26, coarse: 112, tooSmall: 0.25 };
const fromCenter = (x: number, y: number) => Math.hypot(x - 200, y - 230);

/** Orange disks on a green background, and a blurred map of the one that sounds. */
function scene({ radius, silentAt, coarse, tooSmall }: Scene): { image: ImageTensor; map: ProbabilityMap } {
  const inside = (x: number, y: number) => fromCenter(x, y) < radius || fromCenter(x - silentAt, y) < radius;
  const data = new Uint8Array(side * side * 3);
  for (let i = 0; i < side * side; i++) {
    data.set(inside(i % side, Math.floor(i / side)) ? [230, 140, 40] : [40, 120, 70], 3 * i);
  }
  const cell = side / coarse;
  const plane = Float32Array.from({ length: coarse * coarse }, (_, i) => {
    const [x, y] = [((i % coarse) + 0.5) * cell, (Math.floor(i / coarse) + 0.5) * cell];
    return 1 / (1 + Math.exp((fromCenter(x, y) - radius + tooSmall * cell) / (0.75 * cell)));
  });
  const probabilities = new Map([
    [0, plane.map((p) => 1 - p)],
    [1, plane],
  ]);
  return {
    image: { dtype: "u8", shape: [side, side, 3], data },
    map: { width: coarse, height: coarse, probabilities, activeClasses: [1] },
  };
}

function overlap(labels: Uint16Array, { radius }: Scene): number {
  let both = 0;
  let either = 0;
  for (const [i, label] of labels.entries()) {
    const [a, b] = [label > 0, fromCenter(i % side, Math.floor(i / side)) < radius];
    if (a && b) both++;
    if (a || b) either++;
  }
  return both / either;
}

/** Overlap of a scene's masks with its disk, as the map says and refined as for a model of frames of this size. */
function overlaps(shown: Scene, imageSize: number): { plain: number; refined: number } {
  const { image, map } = scene(shown);
  const { width, height } = guideSize({ width: side, height: side }, { imageSize });
  const marks = new EdgeRefiner(edgeGrid({ imageSize })).refine(map, resizeBilinear(image, height, width));
  const options = { width: side, height: side, classes: ["sounding"] };
  return {
    plain: overlap(maskOf(map, options).labels, shown),
    refined: overlap(maskOf(map, { ...options, marks }).labels, shown),
  };
}

test("refined masks end where the picture's objects do", () => {
  const { plain, refined } = overlaps(large, 112);
  assert.ok(plain < 0.8, `plain ${plain}`);
  assert.ok(refined > 0.95, `refined ${refined}`);
});

test("the grid is as fine as the model's features, so that small objects stay", () => {
  assert.deepEqual(
    [96, 128, 224, 384, 448, 1024].map((imageSize) => edgeGrid({ imageSize })),
    [32, 32, 64, 96, 128, 128],
  );
  const { plain, refined } = overlaps(small, side);
  assert.ok(refined > plain, `plain ${plain}, refined ${refined}`);
  const coarse = overlaps(small, 112);
  assert.ok(coarse.refined < plain, `plain ${plain}, refined on a coarser grid ${coarse.refined}`);
});

test("a map in which nothing sounds marks nothing", () => {
  const { image, map } = scene(large);
  const model = { imageSize: 112 };
  const { width, height } = guideSize({ width: side, height: side }, model);
  const guide = resizeBilinear(image, height, width);
  const marks = new EdgeRefiner(edgeGrid(model)).refine({ ...map, activeClasses: [] }, guide);
  assert.ok(marks.levels.every((level) => level === 0));
});

test("a class is marked where it is likelier than the background, whatever is left for other classes", () => {
  const { image, map } = scene(large);
  const likely = map.probabilities.get(1)!;
  // A map of three classes that was moved holds those alone that are marked.
  const probabilities = new Map([
    [0, likely.map((p) => 0.8 - 0.7 * p)],
    [2, likely.map((p) => 0.45 * p)],
  ]);
  const model = { imageSize: 112 };
  const { width, height } = guideSize({ width: side, height: side }, model);
  const guide = resizeBilinear(image, height, width);
  const { levels } = new EdgeRefiner(edgeGrid(model)).refine(
    { ...map, probabilities, activeClasses: [2] },
    guide,
  );
  const isMarked = (x: number, y: number) => {
    const [column, row] = [Math.floor((x * width) / side), Math.floor((y * height) / side)];
    return levels[row * width + column]! > 127;
  };
  assert.deepEqual([isMarked(200, 230), isMarked(260, 230), isMarked(320, 230)], [true, true, false]);
});
