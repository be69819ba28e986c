import assert from "node:assert/strict";
import test from "node:test";
import { publishedModel } from "../models/model-config.js";
import { pvtV2Config } from "../models/pvt-v2.js";
import { stepParts } from "./counted-frames.js";

const published = publishedModel({ task: "s4", visual: pvtV2Config("pvt-v2-b0") });
const apart = { ...published, messenger: { ...published.messenger, frames: 1 } };
const aisfx = { ...apart, audio: { kind: "aisfx", width: 2 } } as const;

test("a step computes the labeled frame alone where no layer joins frames", () => {
  assert.deepEqual(stepParts(published, false), { config: published, soundSeconds: 5 });
  assert.deepEqual(stepParts(apart, false), { config: { ...apart, frameCount: 1 }, soundSeconds: 1 });
});

test("of an encoder that hears around each second, a step takes the sound of the whole clip", () => {
  assert.deepEqual(stepParts(aisfx, false), { config: { ...aisfx, frameCount: 1 }, soundSeconds: 5 });
  assert.deepEqual(stepParts(aisfx, true), { config: aisfx, soundSeconds: 5 });
});
