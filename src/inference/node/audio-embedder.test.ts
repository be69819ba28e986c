import assert from "node:assert/strict";
import { readdir, readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { seededInput } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { seededWeights, tinyS4 } from "../../../test/tiny-models.js";
import { buildAvsModel } from "../../models/avs-model.js";
import { nodeRuntime } from "../../runtime/node/node-runtime.js";
import type { Runtime } from "../../runtime/runtime.js";
import { asF32, type TensorOf } from "../../tensor.js";
import { WeightStore } from "../../weights/weight-store.js";
import { AudioEmbedder } from "./audio-embedder.js";
import { EmbeddingCache } from "./embedding-cache.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

const twoClips = seededInput("mel", [10, 1, 96, 64], 2);
const firstClip: TensorOf<"f32"> = {
  dtype: "f32",
  shape: [5, 1, 96, 64],
  data: twoClips.data.slice(0, twoClips.data.length / 2),
};

/** Embeds with a new embedder, as a new run does; `sessions` and `runs` tell how often the encoder was made and run. */
async function embed(
  cache: EmbeddingCache | undefined,
  { logMel = twoClips, pca = false, change = 0 } = {},
): Promise<{ data: Float32Array; sessions: number; runs: number }> {
  let [sessions, runs] = [0, 0];
  const counting: Runtime = {
    ...runtime,
    createSession: async (source) => {
      sessions++;
      const session = await runtime.createSession(source);
      return {
        ...session,
        run: (feeds) => {
          runs++;
          return session.run(feeds);
        },
      };
    },
  };
  const config = { ...tinyS4, audio: { ...tinyS4.audio, pca } };
  const weights = () => {
    const all = seededWeights(config);
    const bias = asF32(all.get("audio_encoder.features.0.bias") ?? assert.fail(), "bias").data;
    bias[0] = (bias[0] ?? 0) + change;
    return all;
  };
  const embedder = new AudioEmbedder({
    model: buildAvsModel(config),
    runtime: counting,
    cache,
    store: new WeightStore({ load: async () => weights() }),
  });
  await embedder.open();
  const { data, shape } = await embedder.embed({ logMel });
  assert.deepEqual(shape, [logMel.shape[0], 128]);
  assert.deepEqual(await embedder.embed({ logMel }), { dtype: "f32", shape, data });
  return { data, sessions, runs };
}

const filesIn = async (dir: string) =>
  (await readdir(dir, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();

test("a clip is embedded once ever: the next run reads the same bits and makes no session", async () => {
  const dir = await tempDir({ after });
  const without = await embed(undefined);
  assert.deepEqual([without.sessions, without.runs], [1, 2]);
  assert.ok(without.data.some((x) => x !== 0));
  const cold = await embed(new EmbeddingCache({ dir }), { logMel: firstClip });
  assert.deepEqual([cold.sessions, cold.runs], [1, 1]);
  const halfWarm = await embed(new EmbeddingCache({ dir }));
  assert.deepEqual([halfWarm.sessions, halfWarm.runs], [1, 1]);
  const warm = await embed(new EmbeddingCache({ dir }));
  assert.deepEqual([warm.sessions, warm.runs], [0, 0]);
  assert.deepEqual(halfWarm.data, without.data);
  assert.deepEqual(warm.data, without.data);
  assert.deepEqual(cold.data, without.data.slice(0, 5 * 128));
  assert.equal((await filesIn(dir)).length, 2);
});

test("a damaged, cut or misplaced file is computed again and replaced", async () => {
  const dir = await tempDir({ after });
  const expected = await embed(new EmbeddingCache({ dir }));
  const files = await filesIn(dir);
  const [one = "", two = ""] = files;
  const contents = await Promise.all(files.map((file) => readFile(file)));
  const [whole = Buffer.of()] = contents;
  const damaged = Buffer.from(whole);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  const cases: [file: string, content: Uint8Array, what: string][] = [
    [one, damaged, "damaged"],
    [one, whole.subarray(0, 1000), "cut"],
    [one, Buffer.of(), "empty"],
    [two, whole, "misplaced"],
  ];
  for (const [file, content, what] of cases) {
    await writeFile(file, content);
    const { data, runs } = await embed(new EmbeddingCache({ dir }));
    assert.equal(runs, 1, what);
    assert.deepEqual(data, expected.data, what);
    assert.deepEqual(await Promise.all(files.map((f) => readFile(f))), contents, what);
  }
});

test("other weights and another configuration are another encoder", async () => {
  const dir = await tempDir({ after });
  const plain = await embed(new EmbeddingCache({ dir }), { logMel: firstClip });
  for (const other of [{ change: 1e-3 }, { pca: true }]) {
    const { data, runs } = await embed(new EmbeddingCache({ dir }), { logMel: firstClip, ...other });
    assert.equal(runs, 1, JSON.stringify(other));
    assert.notDeepEqual(data, plain.data, JSON.stringify(other));
  }
  assert.equal((await readdir(dir)).length, 3);
});

test("many writers of one entry leave it whole", async () => {
  const dir = await tempDir({ after });
  const [encoder, input] = ["e".repeat(64), "1".repeat(64)];
  const embedding = Float32Array.from({ length: 640 }, (_, i) => i / 7);
  await Promise.all(
    Array.from({ length: 16 }, () => new EmbeddingCache({ dir }).write(encoder, input, embedding)),
  );
  assert.deepEqual(await new EmbeddingCache({ dir }).read(encoder, input), embedding);
  assert.equal((await filesIn(dir)).length, 1);
});

test("a folder that takes no files is warned of once, and nothing fails", async () => {
  const file = path.join(await tempDir({ after }), "file");
  await writeFile(file, "");
  const warnings: string[] = [];
  const cache = new EmbeddingCache({ dir: path.join(file, "cache"), onWarning: (w) => warnings.push(w) });
  const { data, runs } = await embed(cache);
  assert.deepEqual(data, (await embed(undefined)).data);
  assert.equal(runs, 2);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /^audio embeddings are not kept for later runs: cannot write .*: part of the path is a file/,
  );
});
