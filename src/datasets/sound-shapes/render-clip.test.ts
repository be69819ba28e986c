import assert from "node:assert/strict";
import test from "node:test";
import { stepFrame } from "../generated/schedule.js";
import { kinds, labelOf, novelKinds, outlineReach, signedDistance } from "./kinds.js";
import { type ClipSpec, planClip } from "./plan.js";
import { renderClip, renderFrame, renderSound, renderVideoFrames } from "./render-clip.js";

const spec: ClipSpec = { task: "s4", split: "train", index: 0, seed: 7, imageSize: 48 };

test("a clip is a function of its spec, and every part of the spec matters", () => {
  const clip = renderClip(spec);
  const again = renderClip(spec);
  assert.deepEqual(again.frames, clip.frames);
  assert.deepEqual(again.samples, clip.samples);
  for (const change of [{ seed: 8 }, { index: 1 }, { split: "test" }, { task: "ms3" }] as const) {
    const other = renderClip({ ...spec, ...change });
    assert.notDeepEqual(other.frames.data, clip.frames.data, JSON.stringify(change));
    assert.notDeepEqual(other.samples, clip.samples, JSON.stringify(change));
  }
});

test("shapes, sound length and masks agree with the plan", () => {
  const { plan, frames, objects, masks, samples, sounding, kinds: shown } = renderClip(spec);
  assert.deepEqual(frames.shape, [5, 48, 48, 3]);
  assert.equal(frames.data.length, 5 * 48 * 48 * 3);
  assert.equal(samples.length, 5 * 16000);
  assert.ok(samples.every((x) => Math.abs(x) <= 1));
  const source = sounding[0]?.indexOf(true) ?? -1;
  assert.ok(source >= 0 && source < shown.length);
  assert.equal(plan.stepCount, 5);
  masks.data.forEach((value, i) => {
    assert.equal(value, objects.data[i] === source + 1 ? 1 : 0);
  });
});

test("S4: exactly one of two to four objects of different kinds sounds, and is visible", () => {
  for (let index = 0; index < 25; index++) {
    const clip = renderClip({ ...spec, index });
    assert.ok(clip.kinds.length >= 2 && clip.kinds.length <= 4);
    assert.equal(new Set(clip.kinds).size, clip.kinds.length);
    for (const step of clip.sounding) assert.equal(step.filter(Boolean).length, 1);
    for (let t = 0; t < 5; t++) {
      const area = clip.masks.data.subarray(t * 48 * 48, (t + 1) * 48 * 48).reduce((a, b) => a + b, 0);
      assert.ok(area > 0.01 * 48 * 48, `clip ${index} step ${t}: ${area} pixels sound`);
    }
  }
});

test("MS3: the set of sounding objects changes in every clip, and silence and pairs occur", () => {
  const sizes = new Set<number>();
  for (let index = 0; index < 40; index++) {
    const { sounding } = planClip({ ...spec, task: "ms3", index });
    assert.ok(new Set(sounding.map(String)).size > 1, `clip ${index}`);
    for (const step of sounding) sizes.add(step.filter(Boolean).length);
  }
  for (const size of [0, 1, 2]) assert.ok(sizes.has(size), `no step with ${size} sounds`);
});

test("AVSS: masks have the labels of kinds, and subsets have five or ten steps", () => {
  const steps = { v1s: 5, v1m: 5, v2: 10 };
  for (let index = 0; index < 4; index++) {
    const clip = renderClip({ ...spec, task: "avss", index });
    assert.equal(clip.plan.stepCount, steps[clip.plan.subset ?? "v2"]);
    const allowed = new Set([0, ...clip.kinds.map((kind) => labelOf(kind))]);
    assert.ok(clip.masks.data.every((label) => allowed.has(label)));
    assert.ok(clip.masks.data.some((label) => label > 0));
  }
});

test("silent objects add no sound: silent steps fall to the noise floor", () => {
  for (let index = 0; index < 60; index++) {
    const { sounding, samples } = renderClip({ ...spec, task: "ms3", index, imageSize: 8 });
    const level = (step: number): number => {
      const part = samples.subarray(step * 16000 + 1600, step * 16000 + 14400);
      return Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / part.length);
    };
    sounding.forEach((step, t) => {
      if (!step.includes(true)) assert.ok(level(t) < 0.01, `clip ${index} step ${t} is heard`);
      else assert.ok(level(t) > 0.01, `clip ${index} step ${t} is not heard`);
    });
  }
});

test("the frames of the steps are frames of the video", () => {
  for (const framesPerSecond of [16, 12.5]) {
    const clip = renderClip({ ...spec, framesPerSecond });
    const video = [...renderVideoFrames({ ...spec, framesPerSecond })];
    assert.equal(video.length, Math.round(5 * framesPerSecond));
    for (let step = 0; step < 5; step++) {
      const index = stepFrame(step, framesPerSecond);
      const seconds = index / framesPerSecond;
      assert.ok(seconds < step + 1 && seconds + 1 / framesPerSecond >= step + 1 - 1e-9);
      const size = 48 * 48 * 3;
      assert.deepEqual(video[index]?.image, clip.frames.data.slice(step * size, (step + 1) * size));
      assert.deepEqual(video[index]?.mask, clip.masks.data.slice((step * size) / 3, ((step + 1) * size) / 3));
    }
  }
});

test("labeled frames show their kinds", () => {
  for (let index = 0; index < 10; index++) {
    const frame = renderFrame({ seed: 3, index, imageSize: 64 });
    const seen = new Set(frame.labels.data);
    assert.deepEqual([...seen].sort(), [0, ...frame.kinds.map((kind) => labelOf(kind))].sort());
  }
  const novel = renderFrame({ seed: 3, index: 0, imageSize: 64, kinds: novelKinds });
  assert.deepEqual([...new Set(novel.labels.data)].sort(), [0, 1, 2]);
});

test("outlines stay within their reach and enclose comparable areas", () => {
  for (const kind of [...kinds, ...novelKinds]) {
    let inside = 0;
    for (let y = -1.5; y < 1.5; y += 0.02) {
      for (let x = -1.5; x < 1.5; x += 0.02) {
        if (signedDistance(kind, x, y) >= 0) continue;
        inside++;
        assert.ok(Math.hypot(x, y) <= outlineReach, `${kind} reaches (${x}, ${y})`);
      }
    }
    const area = inside * 0.02 ** 2;
    assert.ok(area > 1 && area < 2.8, `${kind}: area ${area}`);
  }
});

test("a sound of several kinds is as long as asked and differs from each alone", () => {
  const both = renderSound(["disc", "star"], { seed: 1, index: 0 });
  assert.equal(both.length, 15600);
  assert.notDeepEqual(both, renderSound(["disc"], { seed: 1, index: 0 }));
  assert.equal(renderSound([], { seed: 1, index: 0, durationSeconds: 2 }).length, 32000);
});
