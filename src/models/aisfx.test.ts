import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { assertClose, seededInput } from "../../test/support.js";
import { Scope } from "../nn/index.js";
import { sizeOf, type Tensor } from "../tensor.js";
import { aisfx, aisfxSchema } from "./aisfx.js";
import { aisfxRateHz, aisfxSeconds, aisfxSpectrogram } from "./aisfx-spectrogram.js";
import { toAisfxRate } from "./to-aisfx-rate.js";

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

test("every second has a spectrogram of its own, and silence has the value 0", async () => {
  const seconds = 3;
  const data = new Float32Array(2 * seconds * aisfxRateHz);
  data[Math.round(1.5 * aisfxRateHz)] = 0.5; // a click in the middle of the second second of the first sound
  const waves = { dtype: "f32", shape: [2, seconds * aisfxRateHz], data } as const;
  const { blocks } = await evaluate({ blocks: aisfxSeconds(inputLike("waves", waves)) }, { waves });
  assert.deepEqual(blocks?.shape, [2 * seconds, 1, 44, 96]);
  const size = sizeOf([44, 96]);
  const loudRows = (block: number) =>
    Array.from({ length: 44 }, (_, row) => row).filter((row) =>
      blocks.data.subarray(block * size + row * 96, block * size + (row + 1) * 96).some((x) => Number(x) > 0),
    );
  assert.deepEqual(loudRows(1), [21, 22]); // a click is in two windows
  for (const block of [0, 2, 3, 4, 5]) assert.deepEqual(loudRows(block), []);
});

test("sounds of 16 kHz are resampled as if they had been recorded at 44.1 kHz", async () => {
  const tone = (rateHz: number) =>
    Float32Array.from({ length: 2 * rateHz }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 3000 * i) / rateHz));
  const waves = { dtype: "f32", shape: [1, 32_000], data: tone(16_000) } as const;
  const { made } = await evaluate({ made: toAisfxRate(inputLike("waves", waves), 2) }, { waves });
  assert.deepEqual(made?.shape, [1, 2 * aisfxRateHz]);
  const expected = tone(aisfxRateHz);
  const inside = (values: Tensor["data"]) => Float32Array.from(values.subarray(1000, -1000), Number);
  assertClose(inside(made.data), inside(expected), 1e-3, "tone");
});
