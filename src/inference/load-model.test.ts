import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as z from "zod";
import { referencePath } from "../../test/reference.js";
import { seededWeights, tinyS4 } from "../../test/tiny-models.js";
import type { StateDict } from "../tensor.js";
import { loadModel } from "./load-model.js";
import type { ModelFiles } from "./weight-sources.js";

/** By layout, the authors' key for each of its keys: made by `tools/reference/weight_forms.py`. */
const pairs = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(readFileSync(referencePath("weight-forms", "keys.json"), "utf8")));

assert.equal(tinyS4.visual.kind, "pvt-v2");
/** The tiny model without adapters, which only avseg's own files have. */
const micro = { ...tinyS4, visual: { ...tinyS4.visual, loraRank: 0 } };
const expected = seededWeights(micro);
const visual = "visual_encoder.";

/** Files in memory by name. */
function filesOf(contents: Readonly<Record<string, StateDict>>): ModelFiles {
  const unused = () => assert.fail("only weights are read");
  return {
    locate: async (name) => name,
    container: unused,
    onnx: unused,
    bytesBeside: unused,
    sha256: async (name) => name,
    weights: async (name) => ({ tensors: contents[name] ?? assert.fail(name), metadata: {} }),
  };
}

/** The weights of the model, each key changed by `rename`. */
function renamed(rename: (key: string) => string, keys: (key: string) => boolean = () => true): StateDict {
  return new Map([...expected].filter(([key]) => keys(key)).map(([key, tensor]) => [rename(key), tensor]));
}

/** The key of timm for a key of the visual encoder. */
function asTimm(key: string): string {
  const rest = key.slice(visual.length).replace(/^(block\d)\.\d+/, "$1.0");
  const block = /^visual_encoder\.block\d\.(\d+)/.exec(key)?.[1] ?? "0";
  const [theirs] = Object.entries(pairs["timm PVTv2"] ?? {}).find(([, authors]) => authors === rest) ?? [];
  return (theirs ?? assert.fail(key)).replace(/blocks\.\d+/, `blocks.${block}`);
}

async function loaded(contents: Readonly<Record<string, StateDict>>, encoder?: string): Promise<StateDict> {
  const options = {
    checkpoint: "whole",
    hints: { imageSize: 64 },
    ...(encoder === undefined ? {} : { config: micro, encoders: { visual: encoder } }),
  };
  const { store, model } = await loadModel(options, filesOf(contents));
  return store.lend(model.specs.map(({ key }) => key));
}

test("a whole model is found below any prefix, its encoder with timm's keys", async () => {
  for (const rename of [
    (key: string) => `model.${key}`,
    (key: string) => `net.inner.${key.startsWith(visual) ? visual + asTimm(key) : key}`,
  ]) {
    const weights = await loaded({ whole: renamed(rename) });
    assert.deepEqual([...weights.keys()].sort(), [...expected.keys()].sort());
    for (const [key, tensor] of expected) assert.equal(weights.get(key)?.data, tensor.data, key);
  }
});

test("an encoder's file may have timm's keys and any prefix", async () => {
  const isVisual = (key: string) => key.startsWith(visual);
  const whole = renamed(
    (key) => key,
    (key) => !isVisual(key),
  );
  const encoder = renamed((key) => `model.${asTimm(key)}`, isVisual);
  const weights = await loaded({ whole, encoder }, "encoder");
  for (const [key, tensor] of expected) assert.equal(weights.get(key)?.data, tensor.data, key);
});

test("files that do not fit are refused with the layout that their keys look like", async () => {
  const timm = renamed(asTimm, (key) => key.startsWith(visual));
  await assert.rejects(
    loaded({ whole: timm }),
    /CheckpointError: whole: not a whole model: "decoder\.mask_features\.weight" is missing; its keys look like timm's PVTv2/,
  );
  const whole = renamed(
    (key) => key,
    (key) => !key.startsWith(visual),
  );
  const vit = new Map([...timm].map(([, tensor], i) => [`blocks.${i}.attn.qkv.weight`, tensor]));
  await assert.rejects(
    loaded({ whole, encoder: vit }, "encoder"),
    /CheckpointError: encoder: does not fit the model: \d+ missing: .*; \d+ unexpected: .*; its keys look like timm's ViT or DINO/,
  );
});
