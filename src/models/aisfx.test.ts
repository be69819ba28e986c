import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { assertClose, seededInput } from "../../test/support.js";
import { Scope } from "../nn/index.js";
import type { Tensor } from "../tensor.js";
import { aisfx, aisfxSchema } from "./aisfx.js";
import { aisfxRateHz, aisfxSpectrogram } from "./aisfx-spectrogram.js";
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

const encoder = aisfx(new Scope(), aisfxSchema.parse({ kind: "aisfx" }));

/** Noise between 0 and 1, as the reference made it. */
function noise(name: string, shape: readonly number[]): Tensor {
  const made = seededInput(name, shape);
  return { ...made, data: made.data.map((x) => 0.5 + 0.5 * x) };
}

test("aiSFX's embedding is the reference's", async () => {
  const ref = await reference("aisfx");
  const blocks = noise("aisfx", [2, 100, 96]);
  const out = await evaluate({ embedding: encoder.blocks(inputLike("blocks", blocks)) }, { blocks });
  ref.assertClose(out.embedding, "embedding", 1e-5);
});

test("the embedding of a second is that of the block around it", async () => {
  const ref = await reference("aisfx");
  const clip = noise("aisfx_clip", [1, 216, 96]);
  const out = await evaluate({ embedding: encoder.seconds(inputLike("clip", clip), 5) }, { clip });
  ref.assertClose(out.embedding, "seconds", 1e-5);
});

test("a clip of one second has one block, and clips do not hear each other", async () => {
  const clips = noise("aisfx_second", [2, 44, 96]);
  const input = inputLike("clips", clips);
  const { seconds, blocks } = await evaluate(
    { seconds: encoder.seconds(input, 1), blocks: encoder.blocks(input) },
    { clips },
  );
  assert.deepEqual(seconds, blocks);
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
