/** Options of the published system that its reference numbers do not cover. */
import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { assertClose, seededInput, seededParameter } from "../../test/support.js";
import { constant } from "../graph/index.js";
import { Pass, Scope } from "../nn/index.js";
import { f32 } from "../tensor.js";
import { decoder, decoderSchema } from "./decoder.js";
import { sinePositions } from "./sine-positions.js";
import { vggish } from "./vggish.js";

test("sine positions: y then x, counted from 1, sine and cosine of falling frequencies", async () => {
  const { p } = await evaluate({ p: sinePositions(2, 3, 8) }, {});
  assert.deepEqual(p?.shape, [1, 6, 8]);
  const axis = (n: number) => [Math.sin(n), Math.cos(n), Math.sin(n / 100), Math.cos(n / 100)];
  const expected = [1, 2].flatMap((y) => [1, 2, 3].flatMap((x) => [...axis(y), ...axis(x)]));
  assertClose(p?.data as Float32Array, expected, 1e-6, "positions");
  assert.throws(() => sinePositions(2, 3, 7), RangeError);
});

test("the decoder adds positions to what attends, and to nothing else", async () => {
  const ref = await reference("decoder_positions"); // PyTorch's logits
  const decode = decoder(new Scope(), {
    dims: [16, 16, 16, 16],
    classes: 1,
    ...decoderSchema.parse({ convDim: 16, positionEncoding: true }),
  });
  for (const fused of [true, false]) {
    const logits = decode(
      [16, 8, 4, 2].map((side, i) => ({
        audio: constant(seededInput(`audio${i}`, [1, 1, 16])),
        visual: { tokens: constant(seededInput(`v${i}`, [1, side * side, 16])), height: side, width: side },
      })),
      new Pass({ fused }),
    );
    ref.assertClose((await evaluate({ logits }, {})).logits, "logits", 1e-5);
  }
});

test("VGGish post-processing: rotated, clipped to [-2,2], 8-bit steps", async () => {
  const logMel = seededInput("mel", [2, 1, 96, 64], 3);
  const sizes = { kind: "vggish", widths: [4, 4, 8, 8, 8, 8], hidden: 16 } as const;
  const x = inputLike("x", logMel);
  const raw = vggish(new Scope(), { ...sizes, pca: false }).embed(x);
  const scope = new Scope();
  const post = vggish(scope, { ...sizes, pca: true }).embed(x);
  assert.deepEqual(
    scope.specs().flatMap((s) => (s.kind === "buffer" ? [s.key] : [])),
    ["pproc.pca_eigen_vectors", "pproc.pca_means"],
  );
  const out = await evaluate({ raw, post }, { x: logMel });
  const vectors = seededParameter("pproc.pca_eigen_vectors", [128, 128]).data;
  const means = seededParameter("pproc.pca_means", [128, 1]).data;
  const embedding = f32(out.raw?.data as Float32Array<ArrayBuffer>, [2, 128]).data;
  let off = 0;
  for (let n = 0; n < 2; n++) {
    for (let i = 0; i < 128; i++) {
      let sum = 0;
      for (let j = 0; j < 128; j++) {
        sum += (vectors[i * 128 + j] as number) * ((embedding[n * 128 + j] as number) - (means[j] as number));
      }
      const expected = Math.round((Math.min(2, Math.max(-2, sum)) + 2) * (255 / 4));
      if (expected !== out.post?.data[n * 128 + i]) off++;
    }
  }
  assert.ok(off <= 2, `${off} of 256 steps differ (rounding ties)`);
});
