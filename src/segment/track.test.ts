import assert from "node:assert/strict";
import test from "node:test";
import type { ImageTensor } from "../media/resize.js";
import type { PictureFrame } from "../media/video.js";
import { emptyGridPicture, gridPicture, MOTION_GRID, motionLuma, toGrid } from "./grid.js";
import { emptyFlow, FlowEstimator, moved } from "./motion.js";
import type { ProbabilityMap } from "./probability-map.js";
import { type Anchor, type TrackedPicture, trackMasks } from "./track.js";

const GRID = MOTION_GRID;
const side = 4 * GRID;

/** A textured disk, 16 cells wide, around `x` (in cells) on a smooth background of this brightness. */
function picture(x: number, background = 60): ImageTensor {
  const data = new Uint8Array(side * side * 3);
  for (let py = 0; py < side; py++) {
    for (let px = 0; px < side; px++) {
      const [u, v] = [px / 4 - x, py / 4 - GRID / 2];
      const inside = u * u + v * v < 64;
      const value = inside ? 190 + 40 * Math.sin(u) * Math.cos(v) : background;
      data.fill(value, 3 * (py * side + px), 3 * (py * side + px + 1));
    }
  }
  return { dtype: "u8", shape: [side, side, 3], data };
}

/** A map on the grid that marks the disk. */
function mapAt(x: number, sounding = true): ProbabilityMap {
  const plane = new Float32Array(GRID * GRID);
  for (let i = 0; i < plane.length; i++) {
    const [u, v] = [(i % GRID) + 0.5 - x, Math.floor(i / GRID) + 0.5 - GRID / 2];
    plane[i] = sounding && u * u + v * v < 64 ? 0.95 : 0.05;
  }
  const probabilities = new Map([
    [0, plane.map((p) => 1 - p)],
    [1, plane],
  ]);
  return { width: GRID, height: GRID, probabilities, activeClasses: sounding ? [1] : [] };
}

/** Where a map marks, on average, in cells from the left; `undefined` where it marks nothing. */
function centerOf({ width, probabilities }: ProbabilityMap): number | undefined {
  let sum = 0;
  let count = 0;
  for (const [i, p] of probabilities.get(1)!.entries()) {
    if (p <= 0.5) continue;
    sum += ((i % width) + 0.5) * (GRID / width);
    count++;
  }
  return count > 0 ? sum / count : undefined;
}

async function track(
  steps: readonly Anchor[],
  pictures: readonly ImageTensor[],
  edgeGrid = GRID,
): Promise<TrackedPicture<Anchor>[]> {
  async function* all(): AsyncGenerator<Anchor, void, undefined> {
    yield* steps;
  }
  async function* shown(): AsyncGenerator<PictureFrame, void, undefined> {
    for (const [i, image] of pictures.entries()) yield { timeSeconds: i / 8, image };
  }
  const out: TrackedPicture<Anchor>[] = [];
  const options = { rate: { numerator: 8, denominator: 1 }, edgeGrid, onGrid: true };
  for await (const tracked of trackMasks(all(), shown(), options)) {
    // Its memory is used again, but not before it was shown.
    assert.deepEqual(tracked.grid, gridPicture(tracked.image, emptyGridPicture(edgeGrid)));
    out.push(tracked);
  }
  return out;
}

const step = (timeSeconds: number, probabilities: ProbabilityMap): Anchor => ({
  timeSeconds,
  startSeconds: Math.floor(timeSeconds),
  probabilities,
});

const near = (actual: number | undefined, expected: number, what: string) =>
  assert.ok(actual !== undefined && Math.abs(actual - expected) < 0.6, `${what}: ${actual}, not ${expected}`);

const lumaOf = (image: ImageTensor) =>
  motionLuma(gridPicture(image, emptyGridPicture(GRID)), new Float32Array(GRID ** 2));
const lumaAt = (x: number) => lumaOf(picture(x));

test("flow is the motion between two pictures; across a cut there is none", () => {
  const flow = new FlowEstimator().flow(lumaAt(12), lumaAt(12.7), emptyFlow());
  assert.ok(flow);
  const middle = (GRID / 2) * GRID + 12;
  near(flow.u[middle], 0.7, "across");
  near(flow.v[middle], 0, "down");
  const { probabilities } = mapAt(12.7);
  const plane = moved({ plane: probabilities.get(1)!, flow }, { width: GRID, height: GRID });
  near(centerOf({ ...mapAt(12), probabilities: new Map([[1, plane]]) }), 12, "moved back");
  const other = lumaOf(picture(25, 200));
  assert.equal(new FlowEstimator().flow(lumaAt(12), other, emptyFlow()), undefined);
});

test("planes come to the grid by means or bilinearly, and guides of other sizes are refused", () => {
  const ramp = (width: number) =>
    Float32Array.from({ length: width * 2 }, (_, i) => ((i % width) + 0.5) / width);
  for (const width of [16, 48, 96]) {
    const grid = toGrid(ramp(width), { width, height: 2, side: GRID });
    for (const x of [8, 16, 24])
      assert.ok(Math.abs(grid[5 * GRID + x]! - (x + 0.5) / GRID) < 3e-3, `${width}`);
  }
  const odd: ImageTensor = { dtype: "u8", shape: [33, 32, 3], data: new Uint8Array(33 * 32 * 3) };
  assert.throws(() => gridPicture(odd, emptyGridPicture(GRID)), {
    name: "RangeError",
    message: "guide: expected u8[H,W,3] with sides that are multiples of 32, got 33,32,3",
  });
});

for (const edgeGrid of [GRID, 2 * GRID]) {
  test(`masks move with the picture between steps and beyond, edges on ${edgeGrid} cells`, () =>
    moves(edgeGrid));
}

async function moves(edgeGrid: number): Promise<void> {
  const at = (i: number) => 8 + i * 0.7;
  const pictures = Array.from({ length: 20 }, (_, i) => picture(at(i)));
  const tracked = await track([step(7 / 8, mapAt(at(7))), step(15 / 8, mapAt(at(15)))], pictures, edgeGrid);
  assert.deepEqual(
    tracked.map(({ index }) => index),
    pictures.map((_, i) => i),
  );
  assert.deepEqual(
    tracked.filter(({ predicted }) => predicted).map(({ index }) => index),
    [7, 15],
  );
  for (const { index, probabilities } of tracked)
    near(centerOf(probabilities), at(index), `picture ${index}`);
}

test("where two steps mark different things, a picture has the mask of its own second's sound", async () => {
  const pictures = Array.from({ length: 16 }, () => picture(16));
  const tracked = await track([step(7 / 8, mapAt(16, false)), step(15 / 8, mapAt(16))], pictures);
  const marked = tracked.map(({ probabilities }) => centerOf(probabilities) !== undefined);
  assert.deepEqual(marked, [...new Array(8).fill(false), ...new Array(8).fill(true)]);
  assert.ok(tracked.every(({ anchor, index }) => anchor.startSeconds === Math.floor(index / 8)));
});

test("across a cut a picture takes the mask of its own shot", async () => {
  const pictures = Array.from({ length: 16 }, (_, i) => (i < 12 ? picture(10) : picture(22, 220)));
  const tracked = await track([step(7 / 8, mapAt(10)), step(15 / 8, mapAt(22))], pictures);
  for (const { index, probabilities } of tracked) {
    near(centerOf(probabilities), index < 12 ? 10 : 22, `picture ${index}`);
  }
});

test("the memory of a picture is given back once the next one is asked for", async () => {
  const released: number[] = [];
  async function* steps(): AsyncGenerator<Anchor, void, undefined> {
    yield step(3 / 8, mapAt(16));
    yield step(7 / 8, mapAt(16));
  }
  async function* shown(): AsyncGenerator<PictureFrame, void, undefined> {
    for (let i = 0; i < 11; i++) {
      yield { timeSeconds: i / 8, image: picture(16), release: () => released.push(i) };
    }
  }
  const options = { rate: { numerator: 8, denominator: 1 }, edgeGrid: GRID, onGrid: true };
  let seen = 0;
  for await (const { index } of trackMasks(steps(), shown(), options)) {
    assert.equal(index, seen++);
    assert.deepEqual(
      released,
      Array.from({ length: index }, (_, i) => i),
    );
  }
  assert.deepEqual([seen, released.length], [11, 11]);
});
