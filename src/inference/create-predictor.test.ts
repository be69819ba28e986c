import assert from "node:assert/strict";
import test from "node:test";
import { tinyConfig } from "../../test/tiny-model.js";
import { buildAvsModel } from "../models/avs-model.js";
import type { Runtime } from "../runtime/runtime.js";
import { createPredictor } from "./create-predictor.js";
import type { ClipBatch } from "./predictor.js";

const { frameCount, imageSize } = tinyConfig;

function batchOf(clips: number): ClipBatch {
  const n = clips * frameCount;
  return {
    frames: { dtype: "u8", shape: [n, imageSize, imageSize, 3], data: new Uint8Array(0) },
    logMel: { dtype: "f32", shape: [n, 1, 96, 64], data: new Float32Array(0) },
    keep: { dtype: "f32", shape: [n], data: new Float32Array(0) },
  };
}

/** A predictor on a runtime that computes nothing, and what was asked of it; `failures` sessions do not open. */
function fakePredictor({ failures = 0 } = {}) {
  const asked: string[] = [];
  let left = failures;
  const runtime: Runtime = {
    provider: "fake",
    async createSession({ name }) {
      const label = /\d+/.exec(name ?? "")?.[0] ?? "";
      await new Promise(setImmediate);
      if (left-- > 0) throw new Error(`no session for ${label}`);
      let open = true;
      asked.push(`open ${label}`);
      return {
        async run() {
          assert.ok(open, `the session for ${label} is closed`);
          return { logits: { dtype: "f32", shape: [1], data: Float32Array.of(Number(label)) } };
        },
        async close() {
          asked.push(`close ${label}`);
          open = false;
        },
      };
    },
    async close() {},
  };
  const embed = async () => {
    await new Promise(setImmediate);
    return { dtype: "f32", shape: [1], data: new Float32Array(0) } as const;
  };
  const predictor = createPredictor({ model: buildAvsModel(tinyConfig), weights: new Map(), runtime, embed });
  return {
    asked,
    predictor,
    predict: async (clips: number) => (await predictor.predict(batchOf(clips))).data[0],
  };
}

test("a session that did not open is tried again, and closing does not meet its error", async () => {
  const { asked, predict, predictor } = fakePredictor({ failures: 2 });
  await assert.rejects(predict(1), /no session for 1/);
  await assert.rejects(predict(1), /no session for 1/);
  assert.equal(await predict(1), 1);
  await predictor.close();
  assert.deepEqual(asked, ["open 1", "close 1"]);

  const failing = fakePredictor({ failures: 1 });
  const call = assert.rejects(failing.predict(1), /no session for 1/);
  await new Promise(setImmediate); // the session is opening
  await failing.predictor.close();
  await call;
});

test("calls at once share a session, and none is closed under a call", async () => {
  const { asked, predict } = fakePredictor();
  assert.deepEqual(await Promise.all([1, 2].map(predict)), [1, 2]);
  assert.deepEqual(await Promise.all([3, 3].map(predict)), [3, 3]);
  assert.deepEqual(asked, ["open 1", "open 2", "close 1", "open 3"]);
  assert.deepEqual(await Promise.all([2, 4, 5, 6, 5].map(predict)), [2, 4, 5, 6, 5]);
});
