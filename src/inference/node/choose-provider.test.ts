import assert from "node:assert/strict";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { setTimeout } from "node:timers/promises";
import { tempDir } from "../../../test/temp-dir.js";
import { tempEnv } from "../../../test/temp-env.js";
import { tinyS4 as micro, seededWeights } from "../../../test/tiny-models.js";
import type { NodeProvider } from "../../runtime/providers.js";
import { writeSafetensors } from "../../weights/node/safetensors-file.js";
import type { Predictor } from "../predictor.js";
import { chooseProvider, type ProviderCandidate } from "./choose-provider.js";
import { openPredictor } from "./open-predictor.js";

test("the fastest provider is chosen by measurement, once, and what does not work is left out", async (t) => {
  const dir = await tempDir(t);
  const checkpoint = path.join(dir, "whole.safetensors");
  await writeSafetensors(checkpoint, seededWeights(micro));
  const opened: string[] = [];
  /** The model on the processor, with a delay in every run: a provider of known order. */
  const delayed = async (name: string, milliseconds: number): Promise<Predictor> => {
    opened.push(name);
    const predictor = await openPredictor({ checkpoint, hints: { imageSize: 64 }, cache: false });
    return {
      ...predictor,
      async predict(batch) {
        await setTimeout(milliseconds);
        return predictor.predict(batch);
      },
    };
  };
  const candidate = (name: NodeProvider, milliseconds: number, runs = true): ProviderCandidate => ({
    name,
    works: async () => runs,
    open: () => delayed(name, milliseconds),
  });
  const choose = async (model: string, candidates: readonly ProviderCandidate[], cpuMilliseconds: number) => {
    opened.length = 0;
    const cpu = { open: () => delayed("cpu", cpuMilliseconds) };
    return chooseProvider({ cpu, candidates, model, dir: path.join(dir, "providers") });
  };

  const both = [candidate("cuda", 1500), candidate("webgpu", 0)];
  assert.equal(await choose("a", both, 1500), "webgpu");
  assert.deepEqual(opened, ["cuda", "webgpu", "cpu"]);
  assert.equal(await choose("a", both, 0), "webgpu", "remembered");
  assert.deepEqual(opened, []);
  assert.equal(await choose("b", both.slice(0, 1), 0), "cpu", "another model is measured on its own");
  assert.deepEqual(opened, ["cuda", "cpu"]);

  assert.equal(await choose("c", [candidate("cuda", 0, false)], 0), "cpu");
  assert.deepEqual(opened, [], "nothing is measured where nothing else works");
  const broken: ProviderCandidate = {
    ...candidate("cuda", 0),
    open: () => Promise.reject(new Error("out of memory")),
  };
  assert.equal(await choose("d", [broken], 0), "cpu");
  assert.deepEqual(opened, []);

  const names = await readdir(path.join(dir, "providers"));
  assert.equal(names.length, 4);
  for (const name of names) await writeFile(path.join(dir, "providers", name), "{");
  assert.equal(await choose("c", [candidate("cuda", 0, false)], 0), "cpu", "a damaged record is not used");
});

test("auto opens the model here as well", async (t) => {
  const dir = await tempDir(t);
  tempEnv(t, "AVSEG_CACHE")(path.join(dir, "cache"));
  const checkpoint = path.join(dir, "whole.safetensors");
  await writeSafetensors(checkpoint, seededWeights(micro));
  const predictor = await openPredictor({
    checkpoint,
    hints: { imageSize: 64 },
    runtime: { provider: "auto", threads: 1 },
  });
  t.after(() => predictor.close());
  assert.deepEqual(predictor.config, micro);
  assert.equal((await readdir(path.join(dir, "cache", "providers"))).length, 1);
});
