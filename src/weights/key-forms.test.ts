import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import * as z from "zod";
import { referencePath } from "../../test/reference.js";
import { CheckpointError } from "../errors.js";
import { f32, type StateDict, type Tensor } from "../tensor.js";
import { encoderKeys, modelKeys, withoutWrappers } from "./key-forms.js";
import { closestLayout } from "./key-layouts.js";

/** By layout, the authors' key for each of its keys: made by `tools/reference/weight_forms.py`. */
const pairs = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(readFileSync(referencePath("weight-forms", "keys.json"), "utf8")));

const layout = (name: string): Record<string, string> => pairs[name] ?? assert.fail(name);

/** A state dict with a distinct value under each key, and these values. */
function numbered(keys: readonly string[]): { state: StateDict; value: (key: string) => number } {
  const values = new Map(keys.map((key, i) => [key, i]));
  const value = (key: string) => values.get(key) ?? assert.fail(key);
  return { state: new Map(keys.map((key) => [key, f32([value(key)], [1])])), value };
}

const valuesOf = (tensor: Tensor | undefined): number[] => Array.from(tensor?.data ?? [], Number);
const options = { file: "x.pth", prefix: "visual_encoder." };

test("timm's and Hugging Face's PVTv2 become the authors' keys, below any prefix", () => {
  for (const name of ["timm PVTv2", "Hugging Face PVTv2"]) {
    const published = layout(name);
    const expected = [...new Set(Object.values(published))];
    for (const prefix of ["", "model.", "deep.er.encoder."]) {
      const keys = Object.keys(published).map((key) => prefix + key);
      const { state, value } = numbered([...keys, `${prefix}head.weight`, `${prefix}classifier.weight`]);
      const found = encoderKeys(state, expected, options);
      for (const key of expected) {
        // Hugging Face has keys and values apart, in this order.
        const sources = keys.filter((theirs) => published[theirs.slice(prefix.length)] === key);
        assert.deepEqual(valuesOf(found.get(key)), sources.map(value), `${name}: ${prefix}${key}`);
      }
    }
  }
});

test("timm's feature extractors have an underscore in the names of their stages", () => {
  const published = layout("timm PVTv2");
  const { state } = numbered(Object.keys(published).map((key) => key.replace(/^stages\./, "stages_")));
  const found = encoderKeys(state, Object.values(published), options);
  assert.deepEqual([...found.keys()].sort(), Object.values(published).sort());
});

test("torchvision's, timm's and Hugging Face's ResNet-50 fill both branches with separate tensors", () => {
  const names = layout("Hugging Face ResNet-50");
  const published = Object.values(names);
  const branches = (key: string) =>
    /^layer[34]\./.test(key) ? [1, 2].map((n) => key.replace(/^(layer\d)/, `$1_${n}`)) : [key];
  const expected = published.flatMap(branches);
  for (const keys of [published, published.map((key) => `model.${key}`), Object.keys(names)]) {
    const { state, value } = numbered(keys);
    const found = encoderKeys(state, expected, options);
    keys.forEach((theirs, i) => {
      for (const key of branches(published[i] ?? "")) {
        assert.deepEqual(valuesOf(found.get(key)), [value(theirs)], `${theirs} -> ${key}`);
      }
    });
    const [first, second] = [1, 2].map((n) => found.get(`layer3_${n}.0.conv1.weight`)?.data);
    assert.notEqual(first?.buffer, second?.buffer);
  }
});

test("any prefix of the authors' keys is found, and the named one preferred", () => {
  const keys = ["features.0.weight", "features.3.weight", "embeddings.0.weight"];
  const below = (prefix: string) => keys.map((key) => prefix + key);
  const taken = (state: StateDict) => [...encoderKeys(state, keys, options)].map(([, t]) => valuesOf(t)[0]);
  assert.deepEqual(taken(numbered(below("")).state), [0, 1, 2]);
  assert.deepEqual(taken(numbered(["loss.weight", ...below("net.audio.")]).state), [1, 2, 3]);
  assert.deepEqual(taken(numbered([...below("ema."), ...below("model.")]).state), [3, 4, 5]);
  assert.deepEqual(taken(numbered([...below("model."), ...below("visual_encoder.")]).state), [3, 4, 5]);
  assert.throws(
    () => taken(numbered([...below("student."), ...below("teacher.")]).state),
    /CheckpointError: x\.pth: several sets of weights fit, below student\. and below teacher\./,
  );
  // What fits nowhere is left as it is.
  const other = numbered(["a", "b.features.0.weight"]).state;
  assert.equal(encoderKeys(other, keys, options), other);
});

test("a whole model loses its prefix, and its encoder gets the authors' keys", () => {
  const published = layout("timm PVTv2");
  const encoder = Object.keys(published).map((key) => `visual_encoder.${key}`);
  const own = ["bridger.Fusers.0.intermediate_queries.weight", "decoder.mask_features.weight"];
  const systems = [{ anchor: "bridger.Fusers.0.intermediate_queries.weight", visual: ["visual_encoder"] }];
  const options = { systems, file: "x.ckpt" };
  const { state, value } = numbered([...own, ...encoder].map((key) => `model.${key}`));
  const found = modelKeys(state, options);
  assert.deepEqual(
    [...found.keys()].sort(),
    [...own, ...Object.values(published).map((key) => `visual_encoder.${key}`)].sort(),
  );
  for (const [theirs, key] of Object.entries(published)) {
    assert.deepEqual(valuesOf(found.get(`visual_encoder.${key}`)), [value(`model.visual_encoder.${theirs}`)]);
  }
  const twice = numbered(own.flatMap((key) => [`a.${key}`, `b.${key}`])).state;
  assert.throws(() => modelKeys(twice, options), CheckpointError);
  const part = numbered(["decoder.mask_features.weight"]).state;
  assert.equal(modelKeys(part, options), part);
});

test("what wrappers add to keys is removed, unless keys would then be equal", () => {
  const keys = (...names: string[]) => [...withoutWrappers(new Map(names.map((name) => [name, 0]))).keys()];
  assert.deepEqual(keys("module.a", "module.b.module.c"), ["a", "b.module.c"]);
  assert.deepEqual(keys("module.a", "b"), ["module.a", "b"]);
  assert.deepEqual(keys("_orig_mod.module.a._orig_mod.b"), ["a.b"]);
  assert.deepEqual(keys("module._orig_mod.module.a"), ["a"]);
  assert.deepEqual(keys("a._fsdp_wrapped_module.b._checkpoint_wrapped_module.c"), ["a.b.c"]);
  assert.deepEqual(keys("a._orig_mod.b", "a.b"), ["a._orig_mod.b", "a.b"]);
  assert.deepEqual(keys(), []);
});

test("the layout of a file is recognized by its keys", () => {
  const named = (...keys: string[]) => closestLayout(keys);
  assert.equal(named(...Object.keys(layout("timm PVTv2"))), "timm's PVTv2");
  assert.equal(named(...Object.keys(layout("Hugging Face PVTv2"))), "Hugging Face's PVTv2");
  assert.equal(named(...Object.values(layout("timm PVTv2"))), "PVTv2 as its authors publish it");
  assert.equal(named(...Object.keys(layout("Hugging Face ResNet-50"))), "Hugging Face's ResNet");
  assert.equal(named(...Object.values(layout("Hugging Face ResNet-50"))), "torchvision's or timm's ResNet");
  assert.equal(named("blocks.11.attn.qkv.weight", "cls_token"), "timm's ViT or DINO");
  assert.equal(named("segformer.encoder.patch_embeddings.0.proj.weight"), "Hugging Face's SegFormer");
  assert.equal(named("features.0.weight", "embeddings.4.weight"), "VGGish");
  assert.equal(named("a.weight", "b"), undefined);
});
