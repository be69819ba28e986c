import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createReadStream } from "node:fs";
import { cp, readdir, readFile, stat, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import test, { after } from "node:test";
import { root as repository } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { DatasetError, OutputError } from "../../errors.js";
import { datasetClasses, openDataset } from "../avsbench/open-dataset.js";
import type { AvsDataset, Split, Task } from "../clip.js";
import { ClipLoader } from "../loader.js";
import { writeSoundShapes } from "../sound-shapes/write.js";
import { writeShards } from "./write.js";

const dir = await tempDir({ after });
const data = path.join(dir, "data");
const counts = { train: 5, val: 2, test: 3 };
await writeSoundShapes({ task: "s4", root: data, counts, imageSize: 64 });
const shards = path.join(dir, "shards");
const written = await writeShards({ task: "s4", root: data, out: shards, clipsPerShard: 2 });

const open = (root: string, split: Split = "train", more: { rank?: number; ranks?: number } = {}) =>
  openDataset({ task: "s4", root, split, imageSize: 32, maskSize: 48, ...more });

/** Asserts that two datasets have the same clips in the same order, to the bit. */
async function assertEqual(actual: AvsDataset, expected: AvsDataset): Promise<void> {
  assert.deepEqual(actual.entries, expected.entries);
  assert.deepEqual([actual.classes, actual.frameCount], [expected.classes, expected.frameCount]);
  for (const [i] of expected.entries.entries()) {
    assert.deepEqual(await actual.load(i), await expected.load(i));
    assert.deepEqual(await actual.loadWaveform?.(i), await expected.loadWaveform?.(i));
  }
}

/** Serves a folder with ranges; `instead` answers the next requests of tar files. */
async function serve(folder: string, t: { after(work: () => void): void }) {
  const instead: ((request: http.IncomingMessage, response: http.ServerResponse) => boolean)[] = [];
  const requests: string[] = [];
  const server = http.createServer(async (request, response) => {
    const name = decodeURIComponent(new URL(request.url ?? "", "http://x").pathname);
    const file = path.join(folder, name);
    requests.push(`${name} ${request.headers.range ?? ""}`);
    const size = await stat(file).then(
      (s) => s.size,
      () => undefined,
    );
    if (size === undefined) return void response.writeHead(404).end("no");
    if (name.endsWith(".tar") && instead.shift()?.(request, response)) return;
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? [];
    if (first === undefined) {
      response.writeHead(200, { "content-length": size });
      return void createReadStream(file).pipe(response);
    }
    const [start, end] = [Number(first), Math.min(Number(last), size - 1)];
    response.writeHead(206, {
      "content-range": `bytes ${start}-${end}/${size}`,
      "content-length": end - start + 1,
    });
    createReadStream(file, { start, end }).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, instead, requests };
}

async function refuses(work: Promise<unknown>, message: RegExp, hint = /./): Promise<void> {
  await assert.rejects(work, (error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.match(error.message, message);
    assert.match(error.hint ?? "", hint);
    return true;
  });
}

test("shards hold the clips of the folder in their order, to the bit", async () => {
  assert.deepEqual([written.shards, written.clips], [6, 10]);
  for (const split of ["train", "val", "test"] as const)
    await assertEqual(await open(shards, split), await open(data, split));
  await assertEqual(await open(path.join(shards, "Single-source", "shards.json")), await open(data));
});

test("MS3 and AVSS as published, with log-mels, labels in colors and clips of different lengths", async (t) => {
  const bench = path.join(repository, "test/reference/minibench");
  const out = await tempDir(t);
  for (const task of ["s4", "ms3", "avss"] as const satisfies Task[]) {
    await writeShards({ task, root: bench, out, clipsPerShard: 1 });
    assert.deepEqual(await datasetClasses(task, out), await datasetClasses(task, bench));
    for (const split of ["train", "val", "test"] as const) {
      const options = { task, split, imageSize: 64 };
      const expected = await openDataset({ ...options, root: bench }).catch((error: unknown) => {
        assert.match(String(error), /no row has the split/);
        return undefined;
      });
      if (expected === undefined)
        await refuses(openDataset({ ...options, root: out }), /no clips of the split/);
      else await assertEqual(await openDataset({ ...options, root: out }), expected);
    }
  }
});

test("the same dataset gives the same bytes, which tar reads and whose samples WebDataset groups", async (t) => {
  const again = await tempDir(t);
  await writeShards({ task: "s4", root: data, out: again, clipsPerShard: 2 });
  const folder = path.join(shards, "Single-source");
  for (const name of await readdir(folder)) {
    assert.deepEqual(
      await readFile(path.join(again, "Single-source", name)),
      await readFile(path.join(folder, name)),
      name,
    );
  }
  const listed = execFileSync("tar", ["-tf", path.join(folder, "test-000000.tar")], { encoding: "utf8" });
  const names = listed.trim().split("\n");
  const keys = names.map((name) => name.split(".")[0]);
  assert.deepEqual([...new Set(keys)], ["test-00000000", "test-00000001"]);
  assert.deepEqual(keys, keys.toSorted(), "the files of a sample lie together");
  assert.ok(
    ["json", "frame0.png", "frame4.png", "mask4.png", "audio.wav"].every((part) =>
      names.includes(`test-00000001.${part}`),
    ),
  );
  await assert.rejects(writeShards({ task: "s4", root: data, out: again }), OutputError);
});

test("loaders of N ranks read disjoint shards, which together are the dataset", async () => {
  for (const ranks of [1, 2, 3]) {
    const sets = await Promise.all(
      Array.from({ length: ranks }, (_, rank) => open(shards, "train", { rank, ranks })),
    );
    const ids = sets.flatMap(({ entries }) => entries.map(({ id }) => id));
    assert.deepEqual(ids.toSorted(), (await open(data)).entries.map(({ id }) => id).toSorted());
  }
  const second = await open(shards, "train", { rank: 1, ranks: 3 });
  assert.deepEqual(
    second.entries.map(({ id }) => id),
    (await open(data)).entries.slice(2, 4).map(({ id }) => id),
  );
  assert.deepEqual(await second.load(1), await (await open(data)).load(3));
  await refuses(
    open(shards, "train", { rank: 0, ranks: 4 }),
    /3 shards of train, expected at least 4/,
    /--clips N/,
  );
  await assert.rejects(open(shards, "train", { rank: 2, ranks: 2 }), RangeError);
  assert.equal((await open(data, "train", { rank: 1, ranks: 2 })).entries.length, 2);
});

test("over HTTP clips are the same, in threads and in any order; broken answers are continued", async (t) => {
  const { url, instead, requests } = await serve(shards, t);
  const [remote, local] = [await open(url), await open(data)];
  await assertEqual(remote, local);
  const [far, near] = [new ClipLoader(remote, { workers: 1 }), new ClipLoader(local, { workers: 0 })];
  const options = { batchSize: 2, shuffle: true, epoch: 3 };
  const batches = async (loader: ClipLoader) => {
    const all = [];
    for await (const clips of loader.batches(options)) all.push(clips);
    await loader.close();
    return all;
  };
  assert.deepEqual(await batches(far), await batches(near));

  requests.length = 0;
  instead.push(
    (_, response) => {
      response.writeHead(503, { "retry-after": "0" }).end();
      return true;
    },
    (request, response) => {
      const [, start = "", end = ""] = /(\d+)-(\d+)/.exec(request.headers.range ?? "") ?? [];
      const length = Number(end) - Number(start) + 1;
      response.writeHead(206, { "content-range": `bytes ${start}-${end}/*`, "content-length": length });
      const stream = createReadStream(path.join(shards, "Single-source", "train-000000.tar"), {
        start: Number(start),
        end: Number(start) + 9999,
      });
      stream.on("data", (piece) => response.write(piece));
      stream.on("end", () => setTimeout(() => response.socket?.destroy(), 30));
      return true;
    },
  );
  assert.deepEqual(await remote.load(0), await local.load(0));
  const starts = requests.map((request) => Number(/bytes=(\d+)-/.exec(request)?.[1]));
  assert.deepEqual([starts.length, starts[0], starts[1], (starts[2] ?? 0) > 0], [3, 0, 0, true]);
});

test("servers without ranges, other shards and damaged ones are clear errors", async (t) => {
  const copy = path.join(await tempDir(t), "copy");
  await cp(shards, copy, { recursive: true });
  const { url, instead } = await serve(copy, t);
  const remote = await open(url);
  instead.push((_, response) => {
    response.writeHead(200).end("all of it");
    return true;
  });
  await refuses(
    remote.load(0),
    /clip \S+: http.*train-000000\.tar: the server does not send parts of files/,
    /object store/,
  );
  const file = path.join(copy, "Single-source", "train-000000.tar");
  const bytes = await readFile(file);
  bytes[5000] = (bytes[5000] ?? 0) ^ 1;
  await writeFile(file, bytes);
  await refuses(remote.load(0), /have the SHA-256 [0-9a-f]{16}, expected/, /damaged/);
  await refuses((await open(copy)).load(0), /have the SHA-256/, /damaged/);
  await writeFile(file, bytes.subarray(0, 2000));
  await refuses((await open(copy)).load(0), /it ends before byte \d+/);
  await refuses(
    open(`${url}/elsewhere`),
    /the server has no \/Single-source\/shards\.json and no \/shards\.json/,
  );
  const index = path.join(copy, "Single-source", "shards.json");
  const text = await readFile(index, "utf8");
  for (const [change, message] of [
    [text.replace("avseg-shards-1", "avseg-shards-9"), /format/],
    [text.replace("train-000000.tar", "../../etc/passwd"), /splits\.train\.shards\.0/],
    [text.slice(0, 100), /not valid JSON/],
    [text.replace('"task":"s4"', '"task":"ms3"'), /shards of ms3, expected s4/],
  ] as const) {
    await writeFile(index, change);
    await refuses(open(copy), message, /avseg data shard/);
  }
});
