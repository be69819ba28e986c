import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { reference } from "../../test/reference.js";
import { seededInput } from "../../test/support.js";
import { gradients } from "../graph/index.js";
import { Pass, Scope } from "../nn/index.js";
import { messenger } from "./messenger.js";

const cases = [
  { channels: 64, pixels: 49, frames: 5, clips: 2 },
  { channels: 320, pixels: 16, frames: 5, clips: 1 },
  { channels: 32, pixels: 36, frames: 10, clips: 1 },
];

for (const { channels, pixels, frames, clips } of cases) {
  for (const fused of [true, false]) {
    const form = fused ? "" : " in the plain form";
    test(`messenger of ${channels} channels: outputs and every gradient${form}`, async () => {
      const ref = await reference(`messenger_${channels}`);
      const n = frames * clips;
      const feeds = {
        audio: seededInput(`messenger_audio_${channels}`, [n, 1, 128]),
        visual: seededInput(`messenger_visual_${channels}`, [n, pixels, channels]),
        dAudio: seededInput(`messenger_da_${channels}`, [n, 1, channels]),
        dVisual: seededInput(`messenger_dv_${channels}`, [n, pixels, channels]),
      };
      const scope = new Scope();
      const block = messenger(scope, channels, {
        queries: 5,
        width: 128,
        heads: 8,
        frames,
        dropout: 0.1,
        between: true,
      });
      const audio = inputLike("audio", feeds.audio);
      const visual = inputLike("visual", feeds.visual);
      const out = block({ audio, visual }, new Pass({ fused }));
      const parameters = [...scope.values()];
      const grads = gradients(
        [
          { y: out.audio, seed: inputLike("dAudio", feeds.dAudio) },
          { y: out.visual, seed: inputLike("dVisual", feeds.dVisual) },
        ],
        [audio, visual, ...parameters.map(([, v]) => v)],
      );
      const names = ["grad_audio", "grad_visual", ...parameters.map(([key]) => `grad:${key}`)];
      assert.deepEqual(names.toSorted(), ref.keys.filter((k) => k.startsWith("grad")).toSorted());
      const outputs = Object.fromEntries(names.flatMap((name, i) => (grads[i] ? [[name, grads[i]]] : [])));
      const results = await evaluate({ audio_out: out.audio, visual_out: out.visual, ...outputs }, feeds);
      for (const [key, result] of Object.entries(results)) {
        // The plain form loses digits where scores hardly differ between keys; the default centers the keys.
        const tolerance = key.startsWith("grad") ? (fused ? 1e-4 : 2e-4) : 1e-5;
        ref.assertClose(result, key, tolerance);
      }
    });
  }
}
