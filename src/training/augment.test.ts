import assert from "node:assert/strict";
import test from "node:test";
import { logMelOf } from "../../test/support.js";
import { augmentSchema } from "../config/augment-schema.js";
import type { Clip } from "../datasets/clip.js";
import { Random } from "../random.js";
import { f32, full } from "../tensor.js";
import { type AugmentSource, augmentClip } from "./augment.js";

const side = 8;

/** A clip of one frame of one color; the object is the left quarter. Its sound is `level` throughout. */
function clipOf(id: number, category: string, level: number): Clip {
  const pixels = side * side;
  const masks = Uint8Array.from({ length: pixels }, (_, i) => (i % side < side / 4 ? 1 : 0));
  return {
    id: `${id}`,
    category,
    frames: { dtype: "u8", shape: [1, side, side, 3], data: new Uint8Array(3 * pixels).fill(10 * (id + 1)) },
    logMel: full([1, 1, 96, 64], Math.log(level + 0.01)),
    masks: { dtype: "u8", shape: [1, side, side], data: masks },
    labeled: [0],
    frameMask: f32([1], [1]),
    sound: full([16_000], level),
  };
}

const clips = [clipOf(0, "dog", 0.1), clipOf(1, "dog", 0.2), clipOf(2, "cow", 0.4)];
const source: AugmentSource = {
  entries: clips.map(({ id, category }) => ({ id, category })),
  load: async (index) => clips[index] ?? assert.fail(),
};
const variant = (settings: object, seed = 1, clip = clips[0] ?? assert.fail()) =>
  augmentClip(clip, {
    ...{ source, index: 0, random: new Random(seed) },
    settings: augmentSchema.parse(settings),
  });
const columns = ({ masks }: Clip) => Array.from(masks.data.subarray(0, side));
const row = (left: number) => Array.from({ length: side }, (_, i) => (i < left ? 1 : 0));

test("without settings a clip stays as it is", async () => {
  assert.deepEqual(await variant({}), clips[0]);
});

test("equal draws make equal variants, others differ, and the clip itself is not changed", async () => {
  const settings = {
    ...{ flip: 0.5, crop: 0.5, color: 0.5, gain: 6, noise: 0.1 },
    ...{ mixSound: 0.5, mixPicture: 0.5, swapSound: 0.5 },
  };
  const before = structuredClone(clips);
  assert.deepEqual(await variant(settings, 5), await variant(settings, 5));
  assert.notDeepEqual(await variant(settings, 5), await variant(settings, 6));
  assert.deepEqual(clips, before);
});

test("pictures and masks change together", async () => {
  assert.deepEqual(columns(await variant({ flip: 1 })), row(2).reverse());
  const halves = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => variant({ mixPicture: 1 }, seed)));
  for (const half of halves) {
    const isLeft = half.frames.data[0] === 30; // the only clip of another category
    assert.equal(half.frames.data[3 * (side - 1)], isLeft ? 10 : 30);
    assert.deepEqual(columns(half), isLeft ? row(0) : row(2));
  }
  assert.equal(new Set(halves.map(({ frames }) => frames.data[0])).size, 2);
});

test("a sound is swapped for one of the same category, mixed with one of another, louder or softer", async () => {
  const swapped = await variant({ swapSound: 1 });
  assert.deepEqual(swapped.sound, clips[1]?.sound);
  assert.deepEqual(swapped.logMel, clips[1]?.logMel);
  const mixed = (await variant({ mixSound: 1 })).sound?.data[0] ?? 0;
  assert.ok(mixed > 0.1 + 0.4 * 0.125 && mixed < 0.1 + 0.4 * 0.502, `${mixed}`);
  const level = (await variant({ gain: 6 })).sound?.data[0] ?? 0;
  assert.ok(level !== 0.1 && level > 0.05 && level < 0.2, `${level}`);
});

test("log-mels change where the clip has no wave", async () => {
  const { sound: _, ...clip } = clips[0] ?? assert.fail();
  const logMel = logMelOf(await variant({ gain: 6 }, 1, clip));
  const gain = (Math.exp(logMel.data[0] ?? 0) - 0.01) / 0.1;
  const wave = ((await variant({ gain: 6 }, 1)).sound?.data[0] ?? 0) / 0.1;
  assert.ok(Math.abs(gain - wave) < 1e-4, `${gain} and ${wave}`);
});
