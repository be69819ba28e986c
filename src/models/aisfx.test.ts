import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { Scope } from "../nn/index.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { aisfx, aisfxSchema } from "./aisfx.js";
import { aisfxBlocks, aisfxRateHz, aisfxSpectrogram } from "./aisfx-spectrogram.js";

test("aiSFX's spectrogram is the reference's", async () => {
  const ref = await reference("aisfx");
  const sound = ref.floats("sound");
  const waves = { dtype: "f32", shape: [1, sound.length], data: sound } as const;
  const out = await evaluate({ spectrogram: aisfxSpectrogram(inputLike("waves", waves)) }, { waves });
  const [, frames = 0, bands = 0] = out.spectrogram?.shape ?? [];
  const { data } = out.spectrogram ?? assert.fail();
  const actual = { dtype: "f32", shape: [frames, bands], data: Float32Array.from(data, Number) } as const;
  ref.assertClose(actual, "spectrogram", 1e-6);
});

test("aiSFX's embedding is the reference's", async () => {
  const ref = await reference("aisfx");
  const noise = seededInput("aisfx", [2, 1, 100, 96]);
  const blocks: Tensor = { ...noise, data: noise.data.map((x) => 0.5 + 0.5 * x) };
  const encoder = aisfx(new Scope(), aisfxSchema.parse({ kind: "aisfx" }));
  const out = await evaluate({ embedding: encoder(inputLike("blocks", blocks)) }, { blocks });
  ref.assertClose(out.embedding, "embedding", 1e-5);
});

test("a block lies around the middle of its second, and silence has the value 0", async () => {
  const seconds = 3;
  const data = new Float32Array(2 * seconds * aisfxRateHz);
  data[Math.round(1.5 * aisfxRateHz)] = 0.5; // a click in the middle of the second second of the first sound
  const waves = { dtype: "f32", shape: [2, seconds * aisfxRateHz], data } as const;
  const { blocks } = await evaluate({ blocks: aisfxBlocks(inputLike("waves", waves), seconds) }, { waves });
  assert.deepEqual(blocks?.shape, [2 * seconds, 1, 100, 96]);
  const size = sizeOf([100, 96]);
  const loudRows = (block: number) =>
    Array.from({ length: 100 }, (_, row) => row).filter((row) =>
      blocks.data.subarray(block * size + row * 96, block * size + (row + 1) * 96).some((x) => Number(x) > 0),
    );
  assert.deepEqual(loudRows(1), [49, 50]); // a click is in two windows
  assert.deepEqual(loudRows(0), [92, 93]);
  assert.deepEqual(loudRows(2), [6, 7]);
  for (const block of [3, 4, 5]) assert.deepEqual(loudRows(block), []);
});
