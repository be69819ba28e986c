import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import { AvsegError, CheckpointError, DatasetError, MediaError } from "../errors.js";
import { openDataset } from "./avsbench/open-dataset.js";
import { type AvsDataset, type Clip, tensorsOf } from "./clip.js";
import { type BatchOptions, ClipLoader, type LoaderOptions } from "./loader.js";
import { writeSoundShapes } from "./sound-shapes/write.js";

async function dataset(t: TestContext): Promise<AvsDataset> {
  const root = await tempDir(t);
  await writeSoundShapes({ task: "s4", root, counts: { train: 7, val: 0, test: 0 }, imageSize: 32 });
  return openDataset({ task: "s4", root, split: "train", imageSize: 24 });
}

function loader(t: TestContext, data: AvsDataset, options: LoaderOptions = {}): ClipLoader {
  const made = new ClipLoader(data, { workers: 2, ...options });
  t.after(() => made.close());
  return made;
}

async function ids(from: ClipLoader, options: BatchOptions): Promise<string[][]> {
  const batches: string[][] = [];
  for await (const clips of from.batches(options)) batches.push(clips.map((clip) => clip.id));
  return batches;
}

test("workers decode what the dataset itself decodes, in the table's order", async (t) => {
  const data = await dataset(t);
  const clips: Clip[] = [];
  for await (const batch of loader(t, data).batches({ batchSize: 3 })) clips.push(...batch);
  assert.equal(clips.length, 7);
  for (const [i, clip] of clips.entries()) assert.deepEqual(clip, await data.load(i));
});

test("shuffled order is a function of seed and epoch, and every clip comes once", async (t) => {
  const data = await dataset(t);
  const first = await ids(loader(t, data, { seed: 1 }), { batchSize: 2, shuffle: true, epoch: 3 });
  const again = await ids(loader(t, data, { seed: 1, workers: 0 }), {
    batchSize: 2,
    shuffle: true,
    epoch: 3,
  });
  assert.deepEqual(again, first);
  assert.deepEqual(first.flat().sort(), data.entries.map(({ id }) => id).sort());
  assert.equal(first.length, 4);
  const other = loader(t, data, { seed: 1 });
  assert.notDeepEqual(await ids(other, { batchSize: 2, shuffle: true, epoch: 4 }), first);
  assert.notDeepEqual(
    await ids(loader(t, data, { seed: 2 }), { batchSize: 2, shuffle: true, epoch: 3 }),
    first,
  );
  assert.equal((await ids(other, { batchSize: 2, dropLast: true })).length, 3);
});

test("starting in the middle gives the rest of the same epoch", async (t) => {
  const from = loader(t, await dataset(t));
  const options = { batchSize: 2, shuffle: true, epoch: 1 };
  const whole = await ids(from, options);
  assert.deepEqual(await ids(from, { ...options, startBatch: 2 }), whole.slice(2));
  assert.deepEqual(await ids(from, { ...options, startBatch: 4 }), []);
});

test("decoded clips are kept up to the cache's size", async (t) => {
  const data = await dataset(t);
  let loads = 0;
  const counted = {
    ...data,
    load: (index: number) => {
      loads++;
      return data.load(index);
    },
  };
  const clip = await data.load(0);
  const bytes = tensorsOf(clip).reduce((sum, { data }) => sum + data.byteLength, 0);
  const from = loader(t, counted, { cacheBytes: 3 * bytes });
  await ids(from, { batchSize: 2 });
  assert.equal(loads, 7);
  await ids(from, { batchSize: 2 });
  assert.equal(loads, 7 + 4);
});

test("a clip that cannot be decoded fails its own batch, with a DatasetError and its hint", async (t) => {
  const data = await dataset(t);
  const root = await tempDir(t);
  const counts = { train: 4, val: 0, test: 0 };
  const { folder } = await writeSoundShapes({ task: "s4", root, counts, imageSize: 32 });
  const spoilt = await openDataset({ task: "s4", root, split: "train", imageSize: 24 });
  const { id, category } = spoilt.entries[2] ?? { id: "", category: "" };
  await writeFile(path.join(folder, `s4_data/visual_frames/train/${category}/${id}/${id}_2.png`), "no image");
  const from = loader(t, spoilt);
  const seen: string[] = [];
  const run = async () => {
    for await (const clips of from.batches({ batchSize: 1 })) seen.push(...clips.map((clip) => clip.id));
  };
  await assert.rejects(run(), (error: unknown) => {
    assert.ok(error instanceof DatasetError && error.hint !== undefined);
    assert.ok(error.message.includes(id) && error.message.includes(`${id}_2.png`));
    return true;
  });
  assert.equal(seen.length, 2);
  await assert.rejects(ids(loader(t, data), { batchSize: 0 }), RangeError);
});

test("a clip fails with the same error on a thread as on the calling one: class, message, hint and causes", async (t) => {
  const root = await tempDir(t);
  const counts = { train: 3, val: 0, test: 0 };
  const { folder } = await writeSoundShapes({ task: "s4", root, counts, imageSize: 32 });
  const data = await openDataset({ task: "s4", root, split: "train", imageSize: 24 });
  const fileOf = (index: number, kind: string, ending: string): string => {
    const { id, category } = data.entries[index] ?? { id: "", category: "" };
    return path.join(folder, "s4_data", kind, "train", category, `${id}${ending}`);
  };
  await writeFile(fileOf(0, "audio_wav", ".wav"), "no sound");
  const pickle = fileOf(1, "audio_log_mel", ".pkl");
  await mkdir(path.dirname(pickle), { recursive: true });
  await writeFile(pickle, "no pickle");
  const { id = "" } = data.entries[2] ?? {};
  await writeFile(fileOf(2, "gt_masks", `/${id}_1.png`), "no picture");
  const failureOf = async (workers: number, index: number): Promise<unknown[]> => {
    const error: unknown = await loader(t, data, { workers })
      .load(index)
      .then(
        () => assert.fail("it loads"),
        (thrown: unknown) => thrown,
      );
    const chain: unknown[] = [];
    for (let e = error; e instanceof Error; e = e.cause) {
      chain.push([e.constructor, e.message, e instanceof AvsegError ? e.hint : undefined, e.stack]);
    }
    return chain;
  };
  for (const [index, cause] of [MediaError, CheckpointError, MediaError].entries()) {
    const [direct, threaded] = [await failureOf(0, index), await failureOf(1, index)];
    const withoutStack = (chain: unknown[]) => chain.map((e) => (Array.isArray(e) ? e.slice(0, 3) : e));
    assert.deepEqual(withoutStack(threaded), withoutStack(direct));
    assert.ok(threaded.length >= 2, "the cause is kept");
    assert.ok(Array.isArray(threaded[0]) && threaded[0][0] === DatasetError);
    assert.ok(Array.isArray(threaded[1]) && threaded[1][0] === cause, String(threaded[1]));
    assert.match(String(Array.isArray(threaded[0]) && threaded[0][3]), /load-clip/);
  }
});

test("a wrapped dataset is still decoded in threads, and a changed clip stays changed", async (t) => {
  const data = await dataset(t);
  const decoders: unknown[] = [];
  const wrapped: AvsDataset = {
    ...data,
    load: async (index, decode) => {
      decoders.push(decode);
      return { ...(await data.load(index, decode)), category: "changed" };
    },
  };
  const from = loader(t, { ...wrapped });
  const clip = await from.load(3);
  assert.equal(clip.category, "changed");
  assert.deepEqual(clip.frames, (await data.load(3)).frames);
  assert.equal(typeof decoders[0], "function");
  await loader(t, wrapped, { workers: 0 }).load(3);
  assert.equal(decoders[1], undefined);
  // The decoder that a wrapper passes on is the one that is used.
  const marked = await data.load(0, async ({ files }) => ({ ...clip, id: `elsewhere ${files.id}` }));
  assert.equal(marked.id, `elsewhere ${data.entries[0]?.id}`);
  assert.ok(((await { ...wrapped }.loadWaveform?.(0))?.length ?? 0) >= 5 * 16000);
});

test("abort ends the iteration, and a closed loader says so", async (t) => {
  const from = loader(t, await dataset(t));
  const abort = new AbortController();
  const run = async () => {
    for await (const _ of from.batches({ batchSize: 1, signal: abort.signal }))
      abort.abort(new Error("stop"));
  };
  await assert.rejects(run(), /stop/);
  await from.close();
  await assert.rejects(ids(from, { batchSize: 1 }), /closed/);
});
