import assert from "node:assert/strict";
import test from "node:test";
import { seededUniform } from "../../test/support.js";
import { type ImageTensor, resizeBilinear } from "./resize.js";
import { isYuvMatrix, rgbOfYuv, yuvOfColor } from "./yuv.js";

const image = (shape: readonly number[], values: Iterable<number>): ImageTensor => ({
  dtype: "u8",
  shape,
  data: Uint8Array.from(values, Math.round),
});
const filled = (shape: readonly number[], ...pixel: readonly number[]) =>
  image(
    shape,
    Array.from({ length: shape.reduce((a, b) => a * b) }, (_, i) => pixel[i % pixel.length] ?? 0),
  );

test("colors survive the way through every matrix, range and layout", () => {
  // Red's and blue's share of luma, from the standards: ITU-R BT.709, BT.601, BT.2020.
  const shares = {
    bt709: [0.2126, 0.0722],
    smpte170m: [0.299, 0.114],
    bt470bg: [0.299, 0.114],
    "bt2020-ncl": [0.2627, 0.0593],
  } as const;
  const colors = Array.from({ length: 20 }, (_, i) =>
    seededUniform(`color ${i}`, 3).map((u) => 127.5 * (1 + u)),
  );
  for (const [matrix, [kr, kb]] of Object.entries(shares)) {
    assert.ok(isYuvMatrix(matrix));
    for (const [r = 0, g = 0, b = 0] of colors) {
      const y = kr * r + (1 - kr - kb) * g + kb * b;
      const [u, v] = [(b - y) / (1 - kb) / 2, (r - y) / (1 - kr) / 2];
      for (const fullRange of [true, false]) {
        const [black, lumaGain, chromaGain] = fullRange ? [0, 1, 1] : [16, 219 / 255, 224 / 255];
        const luma = filled([4, 6], black + y * lumaGain);
        const [cb, cr] = [128 + u * chromaGain, 128 + v * chromaGain];
        for (const chroma of [[filled([2, 3], cb), filled([2, 3], cr)], [filled([2, 3, 2], cb, cr)]]) {
          const { shape, data } = rgbOfYuv({ luma, chroma, matrix, fullRange }, 2, 5);
          assert.deepEqual(shape, [2, 5, 3]);
          for (const [i, value] of data.entries()) {
            assert.ok(
              Math.abs(value - ([r, g, b][i % 3] ?? 0)) < 2.5,
              `${matrix}: ${value} for ${[r, g, b]}`,
            );
          }
        }
      }
    }
  }
});

test("planes are scaled from their own size", () => {
  const noise = image(
    [9, 16],
    seededUniform("luma", 9 * 16).map((u) => 127.5 * (1 + u)),
  );
  const gray = filled([5, 8], 128);
  const picture = rgbOfYuv({ luma: noise, chroma: [gray, gray], matrix: "bt709", fullRange: true }, 4, 7);
  const expected = [...resizeBilinear(noise, 4, 7).data].flatMap((level) => [level, level, level]);
  assert.deepEqual([...picture.data], expected);
  const frame = { luma: noise, chroma: [gray], matrix: "bt709", fullRange: true } as const;
  assert.throws(() => rgbOfYuv(frame, 4, 7), /planes of Y, U and V/);
});

test("colors in YUV as ffmpeg converts them, and black and white at the ends of the limited range", () => {
  assert.deepEqual(yuvOfColor([0, 0, 0]), [16, 128, 128]);
  assert.deepEqual(yuvOfColor([255, 255, 255]), [235, 128, 128]);
  assert.deepEqual(yuvOfColor([255, 72, 88]), [126, 108, 207]); // of ffmpeg 5.1: -pix_fmt rgba to -pix_fmt yuva420p
});
