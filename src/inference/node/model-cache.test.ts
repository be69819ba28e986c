import assert from "node:assert/strict";
import { cp, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { tempEnv } from "../../../test/temp-env.js";
import { tinyS4 as micro, seededBatch, seededWeights } from "../../../test/tiny-models.js";
import { exportModel } from "../../export/export-model.js";
import { modelConfigToJson } from "../../models/model-config.js";
import { sha256Of } from "../../node/sha256.js";
import { optimizedFiles } from "../../runtime/runtime.js";
import { writeSafetensors } from "../../weights/node/safetensors-file.js";
import type { ClipBatch } from "../predictor.js";
import { recordFile, stampOf } from "./cached-model.js";
import { EmbeddingCache } from "./embedding-cache.js";
import { ModelCache, modelCache } from "./model-cache.js";
import { type OpenPredictorOptions, openPredictor } from "./open-predictor.js";

const hints = { imageSize: 64 };

const clips = (count: number): ClipBatch => seededBatch(micro, { clips: count });

interface Place {
  readonly dir: string;
  readonly checkpoint: string;
  /** A new cache of the same folder, for small models. */
  readonly cache: (options?: {
    readonly maxBytes?: number;
    readonly onWarning?: (m: string) => void;
  }) => ModelCache;
}

async function place(t: TestContext): Promise<Place> {
  const dir = await tempDir(t);
  const checkpoint = path.join(dir, "whole.safetensors");
  await writeSafetensors(checkpoint, seededWeights(micro));
  return {
    dir,
    checkpoint,
    cache: (options) => new ModelCache({ dir: path.join(dir, "models"), minBytes: 0, ...options }),
  };
}

/** Opens, predicts and closes. */
async function logitsOf(options: OpenPredictorOptions): Promise<Float32Array> {
  const predictor = await openPredictor({ hints, runtime: { threads: 1 }, ...options });
  try {
    return (await predictor.predict(clips(2))).data;
  } finally {
    await predictor.close();
  }
}

/** The cached entries' folders, which also must be all that is in the folder. */
async function entriesIn({ dir }: Place): Promise<string[]> {
  const names = await readdir(path.join(dir, "models")).catch(() => []);
  assert.deepEqual(
    names.filter((name) => name.startsWith(".")),
    [],
    "nothing incomplete is left",
  );
  return names.map((name) => path.join(dir, "models", name));
}

const usedAt = async (folder = ""): Promise<number> => (await stat(path.join(folder, recordFile))).mtimeMs;

test("a cached model gives the same bits", async (t) => {
  const p = await place(t);
  const plain = await logitsOf({ checkpoint: p.checkpoint, cache: false });
  assert.deepEqual(await entriesIn(p), [], "no cache, no entry");
  assert.deepEqual(await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() }), plain, "cold");
  const [entry] = await entriesIn(p);
  assert.ok(entry);
  const predictor = await openPredictor({ checkpoint: p.checkpoint, hints, cache: p.cache() });
  t.after(() => predictor.close());
  assert.deepEqual(predictor.config, micro);
  assert.equal(predictor.clipsPerRun, 1);
  assert.deepEqual((await predictor.predict(clips(2))).data, plain, "warm");
  assert.deepEqual(await entriesIn(p), [entry]);
  const [listed] = await p.cache().list();
  assert.equal(listed?.record.sources[0]?.path, p.checkpoint);
  assert.ok(listed.bytes > 1000);
});

test("warm opening uses the entry: one with other weights gives their results", async (t) => {
  const p = await place(t);
  const before = await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() });
  const [entry = ""] = await entriesIn(p);
  const weights = path.join(entry, optimizedFiles.weights);
  const { atime, mtime } = await stat(weights);
  const bytes = await readFile(weights);
  for (let i = 0; i + 4 <= bytes.length; i += 4) bytes.writeFloatLE(bytes.readFloatLE(i) * 0.5, i);
  await writeFile(weights, bytes);
  await utimes(weights, atime, mtime);
  // The record is made to agree, which nothing but a person can do: what is computed then is what the entry holds.
  const record = JSON.parse(await readFile(path.join(entry, recordFile), "utf8"));
  record.weights = { ...record.weights, stamp: await stampOf(weights), sha256: sha256Of(bytes) };
  await writeFile(path.join(entry, recordFile), JSON.stringify(record));
  assert.notDeepEqual(await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() }), before);
});

for (const [what, damage] of [
  [
    "weights with another byte, their time set back",
    async (entry: string) => {
      const file = path.join(entry, optimizedFiles.weights);
      const { atime, mtime } = await stat(file);
      const bytes = await readFile(file);
      bytes[100] = (bytes[100] ?? 0) ^ 255;
      await writeFile(file, bytes);
      await utimes(file, atime, mtime);
    },
  ],
  [
    "weights cut in half",
    async (entry: string) => {
      const file = path.join(entry, optimizedFiles.weights);
      await writeFile(file, (await readFile(file)).subarray(0, 5000));
    },
  ],
  [
    "a graph with another byte",
    async (entry: string) => {
      const file = path.join(entry, optimizedFiles.model);
      const bytes = await readFile(file);
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 255;
      await writeFile(file, bytes);
    },
  ],
  ["no weights", (entry: string) => rm(path.join(entry, optimizedFiles.weights))],
  ["no record", (entry: string) => rm(path.join(entry, recordFile))],
  [
    "half a record",
    async (entry: string) => {
      const file = path.join(entry, recordFile);
      await writeFile(file, (await readFile(file, "utf8")).slice(0, 300));
    },
  ],
] as const) {
  test(`a damaged entry is not used, and removed: ${what}`, async (t) => {
    const p = await place(t);
    const expected = await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() });
    const [entry = ""] = await entriesIn(p);
    await damage(entry);
    const predictor = await openPredictor({ checkpoint: p.checkpoint, hints, cache: p.cache() });
    assert.equal(
      (await readdir(entry).catch(() => [])).length,
      0,
      "removed before the model was opened anew",
    );
    assert.deepEqual((await predictor.predict(clips(2))).data, expected);
    await predictor.close();
    assert.deepEqual(await entriesIn(p), [entry], "and made again");
  });
}

test("another content, other options and another configuration are other models; a copy is the same one", async (t) => {
  const p = await place(t);
  const first = await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() });
  const [entry = ""] = await entriesIn(p);
  const copy = path.join(p.dir, "copy.safetensors");
  await cp(p.checkpoint, copy);
  const before = await usedAt(entry);
  assert.deepEqual(await logitsOf({ checkpoint: copy, cache: p.cache() }), first);
  assert.deepEqual(await entriesIn(p), [entry], "a copy opens the same entry");
  assert.ok((await usedAt(entry)) > before, "which counts as a use");
  await logitsOf({ checkpoint: p.checkpoint, clipsPerRun: 2, cache: p.cache() });
  assert.equal((await entriesIn(p)).length, 2, "clips per run");
  const changed = new Map(seededWeights(micro));
  for (const [key, tensor] of changed) {
    if (tensor.dtype === "f32") changed.set(key, { ...tensor, data: tensor.data.map((x) => x * 0.9) });
  }
  await writeSafetensors(p.checkpoint, changed);
  const other = await logitsOf({ checkpoint: p.checkpoint, cache: false });
  assert.notDeepEqual(other, first);
  assert.deepEqual(await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() }), other);
  assert.equal((await entriesIn(p)).length, 3, "content");
});

test("an exported model is cached too, fp16 weights as the fp32 that they are computed in", async (t) => {
  const p = await place(t);
  for (const precision of ["fp32", "fp16-weights"] as const) {
    const out = path.join(p.dir, `${precision}.onnx`);
    await exportModel({ checkpoint: p.checkpoint, hints, out, precision });
    const plain = await logitsOf({ checkpoint: out, cache: false });
    assert.deepEqual(await logitsOf({ checkpoint: out, cache: p.cache() }), plain);
    const [newest] = await p.cache().list();
    assert.equal(newest?.record.sources[0]?.path, out);
    assert.deepEqual(await logitsOf({ checkpoint: out, cache: p.cache() }), plain);
  }
  assert.equal((await entriesIn(p)).length, 2);
});

test("with cached embeddings the audio encoder is not opened, and a missing embedding is computed", async (t) => {
  const p = await place(t);
  const described = path.join(p.dir, "described.safetensors");
  await writeSafetensors(described, seededWeights(micro), {
    metadata: { format: "avseg-checkpoint-1", model: modelConfigToJson(micro) },
  });
  const plain = await logitsOf({ checkpoint: described, hints: undefined, cache: false });
  for (const round of ["cold", "warm", "without embeddings"]) {
    const dir = path.join(p.dir, round === "without embeddings" ? "empty" : "embeddings");
    const embeddings = new EmbeddingCache({ dir });
    assert.deepEqual(
      await logitsOf({ checkpoint: described, hints: undefined, embeddings, cache: p.cache() }),
      plain,
      round,
    );
  }
  const [only, ...rest] = await p.cache().list();
  assert.deepEqual(rest, []);
  assert.match(only?.record.audioEncoder ?? "", /^[0-9a-f]{64}$/);
});

test("the least recently used entries make room, and `clear` removes all", async (t) => {
  const p = await place(t);
  await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() });
  const [first = ""] = await entriesIn(p);
  const [{ bytes } = { bytes: 0 }] = await p.cache().list();
  await utimes(path.join(first, recordFile), new Date(1e12), new Date(1e12));
  await logitsOf({ checkpoint: p.checkpoint, clipsPerRun: 2, cache: p.cache({ maxBytes: bytes * 1.5 }) });
  const [second = "", ...others] = await entriesIn(p);
  assert.deepEqual([others, second === first], [[], false]);
  await logitsOf({ checkpoint: p.checkpoint, cache: p.cache({ maxBytes: bytes / 2 }) });
  assert.deepEqual(await entriesIn(p), [second], "what exceeds the bound alone is not kept");
  assert.ok((await p.cache().clear()) > 0);
  assert.deepEqual(await entriesIn(p), []);
});

test("an interrupted or unused opening leaves nothing", async (t) => {
  const p = await place(t);
  const predictor = await openPredictor({ checkpoint: p.checkpoint, hints, cache: p.cache() });
  await predictor.close();
  assert.deepEqual(await entriesIn(p), []);
  const stop = new AbortController();
  const aborted = await openPredictor({
    checkpoint: p.checkpoint,
    hints,
    cache: p.cache(),
    signal: stop.signal,
  });
  await aborted.predict(clips(1));
  stop.abort();
  await aborted.close();
  assert.deepEqual(await entriesIn(p), []);
});

test("a folder that cannot be written is named in one warning, and the model opens", async (t) => {
  const p = await place(t);
  const warnings: string[] = [];
  const file = path.join(p.dir, "models");
  await writeFile(file, ""); // root may write everywhere, but not below a file
  const cache = p.cache({ onWarning: (message) => warnings.push(message) });
  const plain = await logitsOf({ checkpoint: p.checkpoint, cache: false });
  assert.deepEqual(await logitsOf({ checkpoint: p.checkpoint, cache }), plain);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0] ?? "", /^opened models are not cached: cannot write .*models: /);
  await cache.check();
  assert.deepEqual(warnings, [warnings[0], warnings[0]]);
  await new ModelCache({ dir: p.dir, onWarning: () => assert.fail("this folder can be written") }).check();
});

test("AVSEG_MODEL_CACHE turns the cache off or bounds it", (t) => {
  const setCache = tempEnv(t, "AVSEG_MODEL_CACHE");
  const withSetting = (value: string) => {
    setCache(value);
    return modelCache()?.maxBytes;
  };
  assert.equal(withSetting("off"), undefined);
  assert.equal(withSetting("0"), undefined);
  assert.equal(withSetting(""), 4e9);
  assert.equal(withSetting("2.5GB"), 2.5e9);
  assert.equal(withSetting("300 mb"), 3e8);
  assert.throws(() => withSetting("big"), /AVSEG_MODEL_CACHE: expected off or a size such as 4GB, found big/);
});

test("the request is hashed only for checkpoints of the size of an entry's", async (t) => {
  const p = await place(t);
  const request = () => assert.fail("hashed");
  assert.equal(await p.cache().find(request, p.checkpoint), undefined, "empty");
  await logitsOf({ checkpoint: p.checkpoint, cache: p.cache() });
  const other = path.join(p.dir, "other.safetensors");
  await writeFile(other, "another size");
  assert.equal(await p.cache().find(request, other), undefined);
  await assert.rejects(p.cache().find(request, p.checkpoint), /hashed/);
});
