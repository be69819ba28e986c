import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError, ConfigError, LockedError, OutputError } from "../../errors.js";
import { cacheDir } from "../../node/cache-dir.js";
import { temporaryPath } from "../../node/files.js";
import { lockBeside, withLock } from "../../node/lock.js";
import type { Progress } from "../../progress.js";
import { full, type Shape, type Tensor } from "../../tensor.js";
import { encodeSafetensors } from "../safetensors.js";
import { cachedWeights, pullWeights } from "./cache.js";

/** A weight file with tensors of these shapes. */
function weightFile(shapes: readonly Shape[]): Buffer {
  const tensors = shapes.map((shape, i): [string, Tensor] => [`tensor${i}`, full(shape, 0.5)]);
  return Buffer.concat([...encodeSafetensors(new Map(tensors))]);
}

/** The depthwise convolutions by which PVTv2-B0 and B1 are recognized, in a file of some 600 KB. */
const marks = [640, 640, 1280, 1280].map((hidden) => [hidden, 1, 3, 3]);
const content = weightFile([[128, 1024], ...marks]);
const sha256 = createHash("sha256").update(content).digest("hex");
const etag = '"v1"';

/** How the server below behaves. */
interface ServerBehavior {
  body?: Buffer | undefined;
  etag?: string | undefined;
  /** Closes the connection after so many bytes of each answer. */
  dropAfter?: number | undefined;
  ignoreRange?: boolean | undefined;
  ignoreIfRange?: boolean | undefined;
  status?: number | undefined;
  location?: string | undefined;
  /** Redirects every request to itself. */
  loop?: boolean | undefined;
}

interface Request {
  range: string | undefined;
  url: string | undefined;
}

/** The first byte that a request asks for. */
function startOf(request: Request | undefined): number {
  return Number(/^bytes=(\d+)-$/.exec(request?.range ?? "")?.[1] ?? 0);
}

/** Runs `use` with a cache folder and a server whose behavior can change; `requests` are those it got. */
async function withServer(
  t: TestContext,
  use: (context: {
    url: string;
    dir: string;
    behavior: ServerBehavior;
    requests: Request[];
  }) => Promise<void>,
): Promise<void> {
  const behavior: ServerBehavior = { etag };
  const requests: Request[] = [];
  const server = http.createServer((request, response) => {
    requests.push({ range: request.headers.range, url: request.url });
    const body = behavior.body ?? content;
    if (behavior.loop) {
      response.writeHead(302, { location: request.url }).end();
      return;
    }
    if (behavior.status !== undefined) {
      response.writeHead(behavior.status, behavior.location ? { location: behavior.location } : {});
      response.end("no");
      if (behavior.location) delete behavior.status;
      return;
    }
    const headers = behavior.etag === undefined ? {} : { etag: behavior.etag };
    const start = startOf({ range: request.headers.range, url: request.url });
    const isSame = behavior.ignoreIfRange || request.headers["if-range"] === behavior.etag;
    const partial = start > 0 && !behavior.ignoreRange && isSame;
    if (partial && start >= body.length) {
      response.writeHead(416, { "content-range": `bytes */${body.length}` }).end();
      return;
    }
    const sent = partial ? body.subarray(start) : body;
    const range = { "content-range": `bytes ${start}-${body.length - 1}/${body.length}` };
    response.writeHead(partial ? 206 : 200, {
      ...headers,
      "content-length": sent.length,
      ...(partial ? range : {}),
    });
    if (behavior.dropAfter === undefined) response.end(sent);
    else
      response.write(sent.subarray(0, behavior.dropAfter), () =>
        setTimeout(() => response.socket?.end(), 50),
      );
  });
  server.on("connect", (request, socket) => {
    requests.push({ range: undefined, url: `CONNECT ${request.url}` });
    socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const dir = await tempDir(t);
  try {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/pvt_v2_b0.pth`;
    await use({ url, dir, behavior, requests });
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const quick = { retryDelayMs: 1, env: {} };

test("a file is downloaded, recorded, and then taken from the cache", (t) =>
  withServer(t, async ({ url, dir, requests }) => {
    const seen: number[] = [];
    const options = { ...quick, from: url, cacheDir: dir };
    const pulled = await pullWeights("pvt_v2_b0", { ...options, onProgress: ({ done }) => seen.push(done) });
    assert.deepEqual(await readFile(pulled.path), content);
    assert.equal(pulled.sha256, sha256);
    assert.equal(pulled.checkedAgainst, "nothing");
    assert.equal(seen.at(-1), content.length);
    assert.deepEqual(
      seen,
      [...seen].sort((a, b) => a - b),
    );
    const again = await pullWeights("pvt_v2_b0", { ...quick, cacheDir: dir });
    assert.deepEqual([again.fromCache, again.checkedAgainst, again.path], [true, "record", pulled.path]);
    assert.equal(requests.length, 1);
    assert.equal(await cachedWeights("pvt_v2_b0", { cacheDir: dir }), pulled.path);
    assert.equal(await cachedWeights("pvt_v2_b1", { cacheDir: dir }), undefined);
    assert.deepEqual((await readdir(path.dirname(pulled.path))).sort(), [
      "pvt_v2_b0.pth",
      "pvt_v2_b0.pth.sha256",
    ]);
  }));

test("a dropped connection is continued within one call", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    behavior.dropAfter = 200_000;
    const pulled = await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    assert.equal(pulled.sha256, sha256);
    const starts = requests.map(startOf);
    assert.equal(starts[0], 0);
    assert.ok(
      starts.length >= 3 && starts.slice(1).every((start, i) => start > Number(starts[i])),
      `${starts}`,
    );
  }));

test("a server that always breaks at once is given up, and the next call continues", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    Object.assign(behavior, { dropAfter: 300_000, ignoreRange: true });
    await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }), (error) => {
      assert.ok(error instanceof CheckpointError);
      assert.match(error.message, /the \d+ bytes that arrived are kept/);
      assert.match(error.hint ?? "", /--from FILE/);
      return true;
    });
    Object.assign(behavior, { dropAfter: undefined, ignoreRange: false });
    requests.length = 0;
    const pulled = await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    assert.equal(pulled.sha256, sha256);
    assert.deepEqual([requests.length, startOf(requests[0]) > 0], [1, true]);
  }));

test("a server that ignores ranges sends the file anew", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    Object.assign(behavior, { dropAfter: 300_000, ignoreRange: true });
    await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }));
    delete behavior.dropAfter;
    const pulled = await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    assert.equal(pulled.sha256, sha256);
    assert.ok(startOf(requests.at(-1)) > 0);
  }));

test("a file that changed on the server is downloaded from the beginning", async (t) => {
  for (const ignoreIfRange of [false, true]) {
    await withServer(t, async ({ url, dir, behavior }) => {
      Object.assign(behavior, { dropAfter: 300_000, ignoreRange: true });
      await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }));
      const changed = weightFile([[64, 2048], ...marks]);
      Object.assign(behavior, {
        body: changed,
        etag: '"v2"',
        dropAfter: undefined,
        ignoreRange: false,
        ignoreIfRange,
      });
      const pulled = await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
      assert.deepEqual(await readFile(pulled.path), changed);
    });
  }
});

test("without a validator nothing is continued", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    Object.assign(behavior, { dropAfter: 300_000, etag: undefined });
    await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }));
    delete behavior.dropAfter;
    await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    assert.ok(requests.every((r) => r.range === undefined));
  }));

test("wrong bytes are refused and not kept", (t) =>
  withServer(t, async ({ url, dir, behavior }) => {
    // VGGish's publisher gives the first digits of its hash.
    await assert.rejects(
      pullWeights("vggish", { ...quick, from: url, cacheDir: dir }),
      /expected a SHA-256 beginning with 10086976, found [0-9a-f]{64}/,
    );
    behavior.body = Buffer.from("<!doctype html><p>Please log in</p>");
    await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }), (error) => {
      assert.match(String(error), /web page/);
      assert.ok(String(error).includes(url));
      return true;
    });
    // Once recorded, another content is refused.
    delete behavior.body;
    const { path: file } = await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    behavior.body = Buffer.concat([...encodeSafetensors(new Map([["w", full([2])]]))]);
    const options = { ...quick, from: url, cacheDir: dir };
    await assert.rejects(pullWeights("pvt_v2_b0", options), new RegExp(sha256.slice(0, 8)));
    assert.deepEqual(await readFile(file), content);
    assert.deepEqual((await readdir(path.dirname(file))).sort(), ["pvt_v2_b0.pth", "pvt_v2_b0.pth.sha256"]);
  }));

test("a damaged file in the cache is fetched again", (t) =>
  withServer(t, async ({ url, dir, requests }) => {
    const options = { ...quick, cacheDir: dir };
    const { path: file } = await pullWeights("pvt_v2_b0", { ...options, from: url });
    await writeFile(file, "damaged");
    const local = path.join(dir, "mine.pth");
    await writeFile(local, content);
    const again = await pullWeights("pvt_v2_b0", { ...options, from: local });
    assert.deepEqual([again.fromCache, again.checkedAgainst], [false, "record"]);
    assert.deepEqual(await readFile(file), content);
    assert.equal(requests.length, 1);
  }));

test("redirects are followed, refusals reported at once, overload retried", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    Object.assign(behavior, { status: 302, location: "/elsewhere" });
    await pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir });
    assert.deepEqual(
      requests.map((r) => r.url),
      ["/pvt_v2_b0.pth", "/elsewhere"],
    );
    for (const [status, expected] of [
      [404, 1],
      [503, 4],
    ] as const) {
      requests.length = 0;
      behavior.status = status;
      delete behavior.location;
      await assert.rejects(
        pullWeights("pvt_v2_b1", { ...quick, from: url, cacheDir: dir }),
        new RegExp(`the server answered ${status}`),
      );
      assert.equal(requests.length, expected);
    }
    Object.assign(behavior, { status: 302, location: "http://[" });
    await assert.rejects(
      pullWeights("pvt_v2_b1", { ...quick, from: url, cacheDir: dir }),
      /the server redirects to an invalid address/,
    );
  }));

test("redirects without end are refused", (t) =>
  withServer(t, async ({ url, dir, behavior, requests }) => {
    Object.assign(behavior, { loop: true });
    await assert.rejects(
      pullWeights("pvt_v2_b0", { ...quick, from: url, cacheDir: dir }),
      /CheckpointError: .* more than 10 redirects/,
    );
    assert.equal(requests.length, 11);
  }));

test("an abort stops at once and keeps what has arrived", (t) =>
  withServer(t, async ({ url, dir, behavior }) => {
    behavior.dropAfter = 100_000;
    const controller = new AbortController();
    const onProgress = ({ done }: Progress) => {
      if (done > 0) controller.abort();
    };
    const options = { ...quick, from: url, cacheDir: dir, signal: controller.signal, onProgress };
    await assert.rejects(pullWeights("pvt_v2_b0", options), { name: "AbortError" });
    assert.ok((await stat(path.join(dir, "weights", "pvt_v2_b0.pth.part"))).size > 0);
    assert.ok(!(await readdir(path.join(dir, "weights"))).some((name) => name.endsWith("-lock")));
  }));

test("HTTP_PROXY, HTTPS_PROXY and NO_PROXY are respected", (t) =>
  withServer(t, async ({ url, dir, requests }) => {
    // The test's server plays the proxy: it is asked for the whole address.
    const proxy = new URL(url).origin;
    const from = "http://weights.invalid/pvt_v2_b0.pth";
    await pullWeights("pvt_v2_b0", { ...quick, from, cacheDir: dir, env: { HTTP_PROXY: proxy } });
    assert.deepEqual(
      requests.map((r) => r.url),
      [from],
    );
    // HTTPS goes through a tunnel, which this one refuses.
    requests.length = 0;
    const secure = { from: "https://weights.invalid/x.pth", env: { HTTPS_PROXY: proxy } };
    await assert.rejects(pullWeights("pvt_v2_b1", { ...quick, ...secure, cacheDir: dir }), CheckpointError);
    assert.equal(requests[0]?.url, "CONNECT weights.invalid:443");
    const env = { HTTP_PROXY: "http://127.0.0.1:1", NO_PROXY: "127.0.0.1" };
    await pullWeights("pvt_v2_b1", { ...quick, from: url, cacheDir: dir, env });
    await assert.rejects(
      pullWeights("pvt_v2_b2", {
        ...quick,
        from: url,
        cacheDir: dir,
        env: { HTTP_PROXY: "http://127.0.0.1:1" },
      }),
      /cannot download .*ECONNREFUSED/,
    );
  }));

test("unknown names, missing files and folders that cannot be written are clear errors", async (t) => {
  const dir = await tempDir(t);
  await assert.rejects(pullWeights("pvt_v2_b9", { cacheDir: dir }), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.match(error.hint ?? "", /pvt_v2_b5, vggish, .*resnet50/);
    return true;
  });
  await assert.rejects(
    pullWeights("vggish", { cacheDir: dir, from: path.join(dir, "none") }),
    /no such file/,
  );
  for (const from of ["http://", "http://["]) {
    await assert.rejects(
      pullWeights("vggish", { cacheDir: dir, from }),
      /invalid address: http:\/\/\[?; expected one like https/,
    );
  }
  const env = { HTTP_PROXY: "http://[" };
  await assert.rejects(
    pullWeights("vggish", { cacheDir: dir, from: "http://host.invalid/x", env }),
    /cannot use the proxy http:\/\/\[/,
  );
  // A pipe that nobody writes to must not be waited for.
  const pipe = path.join(dir, "pipe");
  execFileSync("mkfifo", [pipe]);
  await assert.rejects(pullWeights("vggish", { cacheDir: dir, from: pipe }), /it is a pipe or a device/);
  const file = path.join(dir, "file");
  await writeFile(file, "");
  await assert.rejects(pullWeights("vggish", { cacheDir: file, from: file }), OutputError);
  const first = { what: "vggish", task: "avseg weights pull", otherwise: "wait" };
  const target = path.join(dir, "weights", "vggish-10086976.pth");
  await withLock(lockBeside(target), first, async () => {
    await assert.rejects(pullWeights("vggish", { cacheDir: dir, from: file }), (error) => {
      assert.ok(error instanceof LockedError);
      assert.match(error.message, /vggish-10086976\.pth: in use by avseg weights pull \(process \d+ on /);
      assert.match(error.hint ?? "", /AVSEG_CACHE/);
      return true;
    });
  });
});

test("temporary files of killed pulls are removed by the next one", (t) =>
  withServer(t, async ({ dir, url }) => {
    const folder = path.join(dir, "weights");
    const { pid: ended } = spawnSync(process.execPath, ["--version"]);
    const stale = temporaryPath(folder).replace(`-${process.pid}-`, `-${ended}-`);
    await mkdir(folder);
    await writeFile(stale, "half a file");
    await pullWeights("pvt_v2_b0", { ...quick, cacheDir: dir, from: url });
    assert.deepEqual((await readdir(folder)).sort(), ["pvt_v2_b0.pth", "pvt_v2_b0.pth.sha256"]);
  }));

test("a readable file of other weights is refused, and the next pull is not stopped by it", (t) =>
  withServer(t, async ({ dir, url }) => {
    const other = path.join(dir, "resnet.safetensors");
    await writeFile(other, weightFile([[64, 3, 7, 7], ...marks.slice(0, 1)]));
    await assert.rejects(pullWeights("pvt_v2_b0", { ...quick, cacheDir: dir, from: other }), (error) => {
      assert.ok(error instanceof CheckpointError);
      assert.equal(
        error.message,
        `${other}: expected PVTv2-B0, ImageNet-1k, which has 2 tensors of shape [640,1,3,3], found 1`,
      );
      assert.match(error.hint ?? "", /not kept; `avseg weights inspect FILE --keys`/);
      return true;
    });
    assert.deepEqual(await readdir(path.join(dir, "weights")).catch(() => []), []);
    await pullWeights("pvt_v2_b0", { ...quick, cacheDir: dir, from: url });
  }));

test("the cache folder follows AVSEG_CACHE, then XDG_CACHE_HOME", () => {
  assert.equal(cacheDir({ AVSEG_CACHE: "/a", XDG_CACHE_HOME: "/x" }), path.resolve("/a"));
  assert.equal(cacheDir({ XDG_CACHE_HOME: "/x" }), path.join("/x", "avseg"));
  assert.equal(cacheDir({ XDG_CACHE_HOME: "relative" }), path.join(os.homedir(), ".cache", "avseg"));
});
