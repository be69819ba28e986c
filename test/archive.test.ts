import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { copyFile, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { Readable } from "node:stream";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { asyncBufferFromFile, parquetReadObjects } from "hyparquet";
import { addVideos } from "../src/archive/add.js";
import { type Archive, openArchive } from "../src/archive/archive.js";
import { exportResults } from "../src/archive/export-results.js";
import { findVideos } from "../src/archive/find-videos.js";
import { metricsText, serveMetrics } from "../src/archive/metrics.js";
import { makePlan } from "../src/archive/plan.js";
import { readRecord, resultFolders } from "../src/archive/results.js";
import { retryFailed } from "../src/archive/retry.js";
import { readStatus } from "../src/archive/status.js";
import { type WorkEvent, type WorkOptions, work } from "../src/archive/work.js";
import { ArchiveError } from "../src/errors.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { makeClips } from "./clips.js";
import { noRedis, startRedis, type TestRedis } from "./redis.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";

const needsRedis = { skip: noRedis };
const main = path.join(root, "dist", "src", "cli", "main.js");

async function open(t: TestContext, server: TestRedis, patient = false): Promise<Archive> {
  const archive = await openArchive({
    url: server.url,
    tlsCa: server.url.startsWith("rediss") ? server.certificate : undefined,
    patient,
  });
  t.after(() => archive.close());
  return archive;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

/** Works until nothing is left and returns what happened. */
async function drain(archive: Archive, options: Partial<WorkOptions> = {}): Promise<WorkEvent[]> {
  const events: WorkEvent[] = [];
  await work(archive, {
    concurrency: 1,
    limits: { memoryBytes: 8e9, seconds: 300 },
    runtime: { provider: "cpu", threads: 1 },
    retrySeconds: 0.2,
    untilEmpty: true,
    onEvent: (event) => events.push(event),
    ...options,
  });
  return events;
}

test(
  "videos are processed once, whatever their names, and one that is damaged fails alone",
  needsRedis,
  async (t) => {
    const dir = await tempDir(t);
    const [source, out] = [path.join(dir, "videos"), path.join(dir, "results")];
    await mkdir(path.join(source, "sub"), { recursive: true });
    const clips = makeClips(source, 2);
    await copyFile(clips[0] ?? "", path.join(source, "sub", "same.mp4"));
    await writeFile(path.join(source, "damaged.mp4"), "not a video");
    await writeFile(path.join(source, "empty.mp4"), "");
    const server = await startRedis(t);
    const archive = await open(t, server, true);
    const plan = await makePlan({ out, overlay: false });
    const addAll = () => addVideos(archive, findVideos(source, { except: out }), { plan });

    const first = { seen: 5, added: 3, queued: 1, finished: 0, failed: 0, unreadable: 1 };
    assert.deepEqual(await addAll(), first);
    assert.deepEqual(await addAll(), { ...first, added: 0, queued: 4 });

    const events = await drain(archive);
    assert.equal(events.filter(({ type }) => type === "finished").length, 2);
    const failed = events.find((event) => event.type === "failed");
    assert.ok(failed?.final && failed.failure.kind === "input", "a damaged video is not tried again");

    const folders = await all(resultFolders(out));
    assert.equal(folders.length, 2);
    for (const folder of folders) {
      assert.deepEqual((await readdir(folder)).sort(), [
        "masks",
        "segments.csv",
        "segments.json",
        "segments.vtt",
        "video.json",
      ]);
      assert.equal((await readRecord(folder))?.steps, 1);
    }
    assert.deepEqual(await readdir(path.join(out, ".partial")), []);

    const status = await readStatus(archive);
    const { finished, waiting, running, retrying, failures } = status;
    assert.deepEqual(
      { finished, waiting, running, retrying },
      { finished: 2, waiting: 0, running: 0, retrying: 0 },
    );
    assert.equal(failures.length, 1);
    assert.match(failures[0]?.error ?? "", /damaged\.mp4: ffprobe cannot read it/);
    assert.match(failures[0]?.hint ?? "", /plays in a video player/);

    assert.deepEqual(await addAll(), { ...first, added: 0, queued: 0, finished: 3, failed: 1 });
    const damaged = path.join(source, "damaged.mp4");
    assert.deepEqual(await retryFailed(archive, [damaged, "/no/such"]), {
      retried: 1,
      unknown: ["/no/such"],
    });
    await copyFile(clips[1] ?? "", damaged);
    const again = await drain(archive);
    const changed = again.find((event) => event.type === "failed");
    assert.match(changed?.failure.message ?? "", /its content has changed/);

    // The table, in both formats
    const lines = path.join(dir, "table.jsonl");
    const table = path.join(dir, "table.parquet");
    const counts = await exportResults(out, lines);
    assert.deepEqual(await exportResults(out, table), counts);
    assert.equal(counts.videos, 2);
    const rows = (await readFile(lines, "utf8"))
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(rows.length, counts.rows);
    assert.deepEqual(await parquetReadObjects({ file: await asyncBufferFromFile(table) }), rows);
    const { status: exitCode, stderr } = spawnSync(
      "sh",
      [
        "-c",
        `{ "$0" "$1" archive export "$2" -; echo "exit code $?" >&2; } | true`,
        process.execPath,
        main,
        out,
      ],
      { encoding: "utf8" },
    );
    assert.deepEqual([exitCode, stderr], [0, "exit code 0\n"], "a reader that ends early is no failure");
    await rm(path.join(folders[0] ?? "", "segments.json"));
    await assert.rejects(exportResults(out, table), /segments\.json: there is no such file/);

    // The metrics, and who may read them
    assert.match(await metricsText(status), /avseg_archive_videos\{state="finished",queue="archive"\} 2/);
    const metrics = await serveMetrics(archive, 0);
    t.after(() => metrics.close());
    const get = (host: string, at = "/metrics") =>
      fetch(`http://${host}:${metrics.port}${at}`).then(async (r) => [r.status, await r.text()] as const);
    const [code, text] = await get("127.0.0.1");
    assert.equal(code, 200);
    assert.match(text, /avseg_archive_videos\{state="failed",queue="archive"\} 1/);
    assert.equal((await get("127.0.0.1", "/"))[0], 404);
  },
);

test(
  "a video that takes too much memory or time is stopped, tried again and given up",
  needsRedis,
  async (t) => {
    const dir = await tempDir(t);
    const clips = makeClips(dir, 1);
    const archive = await open(t, await startRedis(t), true);
    const plan = await makePlan({
      checkpoint: DEMO_MODEL.file,
      out: path.join(dir, "results"),
      overlay: false,
    });
    await addVideos(archive, clips, { plan, attempts: 2 });
    const ofType = (events: WorkEvent[]) =>
      events.flatMap((event) => (event.type === "failed" ? [[event.failure.kind, event.final]] : []));
    const small = { memoryBytes: 60e6, seconds: 300 };
    assert.deepEqual(ofType(await drain(archive, { limits: small })), [
      ["memory", false],
      ["memory", true],
    ]);
    const [failure] = (await readStatus(archive)).failures;
    assert.match(failure?.error ?? "", /more than the limit of 0\.1 GB/);
    assert.match(failure?.hint ?? "", /--max-memory/);
    await retryFailed(archive);
    const short = { memoryBytes: 8e9, seconds: 0.2 };
    assert.deepEqual(ofType(await drain(archive, { limits: short })), [
      ["time", false],
      ["time", true],
    ]);
    await retryFailed(archive);
    assert.equal((await drain(archive)).at(-1)?.type, "finished");
  },
);

test("adding waits while the queue is full, and stops when it is told to", needsRedis, async (t) => {
  const dir = await tempDir(t);
  const clips = makeClips(dir, 3);
  const archive = await open(t, await startRedis(t));
  const plan = await makePlan({ out: path.join(dir, "results") });
  const controller = new AbortController();
  let paused = false;
  const adding = addVideos(archive, clips, {
    plan,
    maxWaiting: 2,
    signal: controller.signal,
    onProgress: (_, full) => {
      paused = full;
      if (full) controller.abort();
    },
  });
  await assert.rejects(adding, { name: "AbortError" });
  assert.ok(paused);
  assert.equal((await readStatus(archive)).waiting, 2);
});

test("videos are found in folders, lists and on standard input", async (t) => {
  const dir = await tempDir(t);
  await mkdir(path.join(dir, "b", ".hidden"), { recursive: true });
  for (const name of ["b/2.MKV", "b/.hidden/3.mp4", "a.mp4", "notes.txt", ".mp4"]) {
    await writeFile(path.join(dir, name), "x");
  }
  const except = path.join(dir, "results");
  assert.deepEqual(await all(findVideos(dir, { except })), [
    path.join(dir, "a.mp4"),
    path.join(dir, "b", "2.MKV"),
  ]);
  await writeFile(path.join(dir, "list.txt"), "/x/1.mp4\r\n\n/x/2.mp4");
  const expected = ["/x/1.mp4", "/x/2.mp4"];
  assert.deepEqual(await all(findVideos(path.join(dir, "list.txt"), { except })), expected);
  assert.deepEqual(
    await all(findVideos("-", { except, stdin: Readable.from(["/x/1.mp4\n/x/2.mp4\n"]) })),
    expected,
  );
  await assert.rejects(all(findVideos(path.join(dir, "none"), { except })), /none: cannot be read/);
});

test("TLS works, and no message or title shows the password", needsRedis, async (t) => {
  const dir = await tempDir(t);
  const password = "p@ss/w:rd?";
  const server = await startRedis(t, { tls: true, password });
  const archive = await open(t, server);
  await archive.addPlan(await makePlan({ out: dir }));
  assert.equal((await archive.plans()).size, 1);

  const refused = async (url: string, tlsCa: string | undefined, message: RegExp): Promise<void> => {
    await assert.rejects(openArchive({ url, tlsCa }), (error) => {
      assert.ok(error instanceof ArchiveError, String(error));
      assert.match(error.message, message);
      for (const secret of [password, encodeURIComponent(password), "wrong-secret"]) {
        assert.ok(!`${error.message} ${error.hint} ${error.stack}`.includes(secret));
      }
      return true;
    });
  };
  const { url, certificate } = server;
  await refused(url, undefined, /certificate is not trusted \(it is self-signed\)/);
  await refused(
    url.replace(encodeURIComponent(password), "wrong-secret"),
    certificate,
    /refuses the user or the password/,
  );
  await refused(url.replace("localhost", "127.0.0.1"), certificate, /it is for another host/);
  await refused(url.replace(/:\d+$/, ":1"), certificate, /no Redis server can be reached/);
  await refused(`http://x:${encodeURIComponent(password)}@host`, undefined, /not one of Redis/);
  await refused(url.replace("rediss", "redis"), certificate, /not one of TLS/);

  const worker = spawnArchive(["work", "--redis", url, "--tls-ca", certificate], {});
  t.after(() => worker.child.kill("SIGKILL"));
  await worker.printed(/working on/);
  const title = await readFile(`/proc/${worker.child.pid}/cmdline`, "utf8").catch(() => "avseg archive work");
  assert.match(title, /^avseg archive work/);
  assert.ok(
    !title.includes(encodeURIComponent(password)) && !worker.text().includes(encodeURIComponent(password)),
  );
  worker.child.kill("SIGTERM");
  assert.equal(await worker.ended, 0);
});

test(
  "SIGTERM lets a begun video finish and leaves the others; a killed worker's is taken over",
  needsRedis,
  async (t) => {
    const dir = await tempDir(t);
    const clips = makeClips(dir, 2, 10);
    const server = await startRedis(t);
    const archive = await open(t, server);
    const out = path.join(dir, "results");
    await addVideos(archive, clips, {
      plan: await makePlan({ checkpoint: DEMO_MODEL.file, out, overlay: false }),
    });
    const env = { AVSEG_REDIS_URL: server.url };
    const options = ["work", "--threads", "1", "--take-over", "2", "--until-empty"];

    const killed = spawnArchive(options, env);
    await killed.printed(/started/);
    killed.child.kill("SIGKILL");
    await killed.ended;

    const drained = spawnArchive(options, env);
    await drained.printed(/started/);
    drained.child.kill("SIGTERM");
    assert.equal(await drained.ended, 0, drained.text());
    assert.match(drained.text(), /1 finished, 0 failed/);
    assert.equal((await all(resultFolders(out))).length, 1);

    const last = spawnArchive(options, env);
    assert.equal(await last.ended, 0, last.text());
    assert.equal((await all(resultFolders(out))).length, 2);
    assert.deepEqual(await readdir(path.join(out, ".partial")), []);
    assert.match(`${drained.text()}${last.text()}`, /taken over from a worker that is silent/);
  },
);

interface Spawned {
  readonly child: ChildProcess;
  readonly ended: Promise<number | null>;
  text(): string;
  /** Waits for text that it prints. */
  printed(pattern: RegExp): Promise<void>;
}

function spawnArchive(args: readonly string[], env: Readonly<Record<string, string>>): Spawned {
  const child = spawn(process.execPath, [main, "archive", ...args], { env: { ...process.env, ...env } });
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
    });
  }
  return {
    child,
    ended: new Promise((resolve) => child.once("close", (code) => resolve(code))),
    text: () => text,
    async printed(pattern) {
      while (!pattern.test(text)) {
        assert.ok(child.exitCode === null && child.signalCode === null, text);
        await sleep(50);
      }
    },
  };
}
