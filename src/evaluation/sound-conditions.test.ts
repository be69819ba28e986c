import assert from "node:assert/strict";
import test from "node:test";
import { logMelOf } from "../../test/support.js";
import type { AvsDataset, Task } from "../datasets/clip.js";
import { SILENT_LOG_MEL } from "../media/log-mel.js";
import { f32, full } from "../tensor.js";
import { otherClassPartners, swapPartners, withSound } from "./sound-conditions.js";

/** A dataset whose clip i has log-mels of the value i. */
function fakeDataset(task: Task, categories: readonly string[]): AvsDataset {
  return {
    task,
    split: "test",
    classes: ["background", "sounding"],
    frameCount: 1,
    entries: categories.map((category, i) => ({ id: `clip-${i}`, category })),
    load: async (i) => ({
      id: `clip-${i}`,
      category: categories[i] ?? "",
      frames: { dtype: "u8", shape: [1, 1, 1, 3], data: new Uint8Array(3) },
      logMel: full([1, 1, 96, 64], i),
      masks: { dtype: "u8", shape: [1, 1, 1], data: new Uint8Array(1) },
      labeled: [0],
      frameMask: f32([1], [1]),
    }),
    loadWaveform: async (i) => Float32Array.of(i),
  };
}

test("S4: every clip gets the sound of another category, each sound once", () => {
  for (const categories of [
    ["a", "b"],
    ["a", "a", "b", "b", "c"],
    Array.from({ length: 83 }, (_, i) => `kind ${i % 8}`),
  ]) {
    const partners = swapPartners(categories, { differ: true, seed: 1 });
    for (const [i, j] of partners.entries()) assert.notEqual(categories[i], categories[j]);
    assert.equal(new Set(partners).size, categories.length);
    assert.deepEqual(swapPartners(categories, { differ: true, seed: 1 }), partners);
  }
});

test("S4: where one category has most clips, sounds are used twice rather than within it", () => {
  const categories = ["a", "a", "a", "a", "b"];
  const partners = swapPartners(categories, { differ: true, seed: 3 });
  assert.deepEqual(partners.slice(0, 4), [4, 4, 4, 4]);
  assert.ok((partners[4] ?? 4) < 4);
});

test("MS3: every clip gets the sound of another clip, each sound once", () => {
  const partners = swapPartners(["", "", "", "", ""], { differ: false, seed: 7 });
  assert.equal(new Set(partners).size, 5);
  assert.ok(partners.every((j, i) => j !== i));
  assert.notDeepEqual(partners, swapPartners(["", "", "", "", ""], { differ: false, seed: 8 }));
});

test("too few sounds to swap is an error", () => {
  assert.throws(() => swapPartners(["a", "a"], { differ: true, seed: 0 }), { name: "DatasetError" });
  assert.throws(() => swapPartners([""], { differ: false, seed: 0 }), { name: "DatasetError" });
});

test("the swapped dataset keeps frames and masks and takes the partner's log-mels", async () => {
  const categories = ["a", "b", "a", "b"];
  const dataset = fakeDataset("s4", categories);
  const swapped = withSound(dataset, { sound: "swapped", seed: 5 });
  assert.deepEqual(swapped.entries, dataset.entries);
  for (let i = 0; i < 4; i++) {
    const clip = await swapped.load(i);
    assert.equal(clip.id, `clip-${i}`);
    const donor = logMelOf(clip).data[0] ?? -1;
    assert.notEqual(categories[donor], categories[i]);
    assert.deepEqual(await swapped.loadWaveform?.(i), Float32Array.of(donor));
  }
});

test("sounds of other classes share nothing with the clip, and the names of what sounds are needed", () => {
  const names = ["a", "a_b", "b_c", "c", "d_a", "b"];
  const entries = names.map((name, i) => ({ id: `clip-${i}`, category: "", sounds: name.split("_") }));
  const partners = otherClassPartners(entries, 3);
  for (const [i, j] of partners.entries()) {
    const own = entries[i]?.sounds ?? [];
    assert.ok(
      entries[j]?.sounds.every((name) => !own.includes(name)),
      `${i} gets ${j}`,
    );
  }
  assert.deepEqual(otherClassPartners(entries, 3), partners);
  const message = (list: Parameters<typeof otherClassPartners>[0], pattern: RegExp) =>
    assert.throws(() => otherClassPartners(list, 3), { name: "DatasetError", message: pattern });
  message([{ id: "x", category: "" }], /does not say what sounds/);
  message(entries.slice(0, 2), /every other clip shares a sound with clip clip-\d/);
});

test("silence and noise replace the sound of real steps, differ between clips, and depend on the seed", async () => {
  const plain = fakeDataset("avss", ["v1s", "v1s"]);
  const dataset: AvsDataset = {
    ...plain,
    load: async (i) => ({
      ...(await plain.load(i)),
      logMel: full([2, 1, 96, 64], i),
      frameMask: f32([1, 0], [2]),
    }),
  };
  const steps = async (options: Parameters<typeof withSound>[1], index: number) => {
    const { data } = logMelOf(await withSound(dataset, options).load(index));
    return { real: data.slice(0, 6144), padded: data.slice(6144) };
  };
  const silent = await steps({ sound: "silence" }, 1);
  assert.ok(silent.real.every((value) => value === Math.fround(SILENT_LOG_MEL)));
  assert.ok(silent.padded.every((value) => value === 1));
  const noise = await steps({ sound: "noise", seed: 1 }, 1);
  assert.ok(noise.padded.every((value) => value === 1));
  assert.ok(
    noise.real.every((value) => value > -1 && value < 5),
    "as loud as white noise of full scale",
  );
  assert.deepEqual(await steps({ sound: "noise", seed: 1 }, 1), noise);
  assert.notDeepEqual((await steps({ sound: "noise", seed: 2 }, 1)).real, noise.real);
  assert.notDeepEqual((await steps({ sound: "noise", seed: 1 }, 0)).real, noise.real);
  assert.deepEqual(await withSound(dataset, { sound: "silence" }).loadWaveform?.(1), Float32Array.of(0));
  assert.equal(withSound(dataset, { sound: "own" }), dataset);
});
