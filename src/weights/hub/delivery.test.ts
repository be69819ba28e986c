/** Servers that deliver a file slowly, in part, in another form, under another name, or by way of other hosts. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { gzipSync } from "node:zlib";
import { folderPage, folderView, imitateHosts } from "../../../test/hosts.js";
import { head, type RawAnswer, send, serveRaw } from "../../../test/raw-server.js";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError, OutputError } from "../../errors.js";
import { encodeSafetensors } from "../safetensors.js";
import { type PullOptions, pullWeights } from "./cache.js";

const data = Float32Array.from({ length: 150_000 }, (_, i) => i);
const content = Buffer.concat([
  ...encodeSafetensors(new Map([["weight", { dtype: "f32", shape: [150_000], data }]])),
]);
const size = content.length;
const sha256 = createHash("sha256").update(content).digest("hex");
const name = "avsegformer-s4";
const whole = head("200 OK", `Content-Length: ${size}`);

/** A server, and a function that pulls from it. */
async function setUp(t: TestContext, answers: readonly RawAnswer[], more: PullOptions = {}) {
  const { url, requests } = await serveRaw(t, answers);
  const dir = await tempDir(t);
  const settings = { cacheDir: dir, retryDelayMs: 1, stallMs: 200, env: {}, ...more };
  const pull = (from = `${url}/weights.pth`) => pullWeights(name, { from, ...settings });
  const files = async () => (await readdir(path.join(dir, "weights")).catch((): string[] => [])).sort();
  return { url, requests, dir, pull, files };
}

/** Sends some bytes again and again, a few at a time. */
const dripping =
  (start: string, drop: string): RawAnswer =>
  (socket) => {
    socket.write(start);
    const timer = setInterval(() => (socket.destroyed ? clearInterval(timer) : socket.write(drop)), 20);
  };

/** Answers with the asked range, or a part of it that `end` chooses; the first answer is of the whole file. */
const inRanges =
  (end: (start: number) => number): RawAnswer =>
  (socket, request) => {
    const start = Number(/^range: bytes=(\d+)-/im.exec(request)?.[1] ?? 0);
    const shown = start === 0 ? size : end(start);
    const headers = ['ETag: "a"', `Content-Length: ${shown - start}`];
    const part = `Content-Range: bytes ${start}-${shown - 1}/${size}`;
    socket.write(start === 0 ? head("200 OK", ...headers) : head("206 Partial Content", ...headers, part));
    socket.end(content.subarray(start, end(start)));
  };

const page = (...parts: readonly string[]): RawAnswer =>
  send(head("200 OK", "Content-Type: text/html; charset=utf-8"), ...parts);

const refused: Record<string, readonly [answer: RawAnswer, message: RegExp, hint: RegExp]> = {
  "headers byte by byte": [
    dripping("HTTP/1.1 200 OK\r\n", "X: y\r\n"),
    /cannot download .*Headers Timeout/,
    /HTTPS_PROXY/,
  ],
  "a body byte by byte": [
    dripping(whole, "x"),
    /the server sends less than 1 KiB a second/,
    /run the same command again/,
  ],
  "a body that always ends one byte early": [
    inRanges((start) => (start === 0 ? 400_000 : size - 1)),
    /; the 600079 bytes that arrived are kept/,
    /run the same command again/,
  ],
  "fewer bytes than the file has": [
    send(head("200 OK", `Content-Length: ${size - 1000}`), content),
    /its tensors end at byte 600080, but the file has 599080/,
    /truncated/,
  ],
  "a file that ends early, without a length": [
    send("HTTP/1.0 200 OK\r\n\r\n", content.subarray(0, 500_000)),
    /the file has 500000/,
    /truncated/,
  ],
  "bytes after the end": [
    send(head("200 OK", `Content-Length: ${size + 9}`), content, Buffer.alloc(9)),
    /its tensors end at byte 600080/,
    /of another format/,
  ],
  "a packed file": [
    send(head("200 OK", "Content-Type: application/gzip"), gzipSync(content)),
    /it is packed \(gzip\)/,
    /Unpack it/,
  ],
  "a length that is not a number": [
    send(head("200 OK", "Content-Length: 0x10"), content),
    /cannot download .*Content-Length/,
    /--from FILE/,
  ],
  "a redirect with control characters": [
    send(head("302 Found", "Location: http://127.0.0.1:1/\xff\x1b[2J")),
    /cannot download .*Invalid header/,
    /--from FILE/,
  ],
  "a redirect to itself": [
    send(head("302 Found", "Location: /weights.pth")),
    /more than 10 redirects/,
    /--from/,
  ],
  "a page that leads on by itself": [
    page('<html><title>Go</title><meta http-equiv="refresh" content="0;url=/x"></html>'),
    /sent a web page \("Go"\)/,
    /browser/,
  ],
  "a network that asks to log in": [
    send(head("511 Network Authentication Required", "Content-Type: text/html"), "<html>Log in</html>"),
    /the server answered 511/,
    /network/,
  ],
  "Drive's quota page in German": [
    page(
      "<!DOCTYPE html><html><head><title>Google Drive – Kontingent überschritten</title></head><body>",
      '<div id="uc-text"><p class="uc-error-caption">Diese Datei kann momentan nicht heruntergeladen werden.</p>',
      '<p class="uc-error-subcaption">Zu viele Nutzer haben diese Datei angesehen.</p></div></body></html>',
    ),
    /Google Drive allows no more downloads/,
    /24 hours/,
  ],
};

for (const [what, [answer, message, hint]] of Object.entries(refused)) {
  test(`refused: ${what}`, async (t) => {
    const { pull, requests, files } = await setUp(t, [answer]);
    await assert.rejects(pull(), (error) => {
      assert.ok(error instanceof CheckpointError, String(error));
      assert.match(error.message, message);
      assert.match(error.hint ?? "", hint);
      return true;
    });
    assert.ok(requests.length <= 11, `${requests.length} requests`);
    assert.ok((await files()).every((file) => file.includes(".part")));
  });
}

const accepted: Record<string, readonly RawAnswer[]> = {
  "ranges shorter than those asked for": [inRanges((start) => Math.min(start + 150_000, size))],
  "a name that leads out of the folder": [
    send(
      head("200 OK", `Content-Length: ${size}`, 'Content-Disposition: attachment; filename="../../x.pth"'),
      content,
    ),
  ],
  "an identity in capitals": [
    send(head("200 OK", `Content-Length: ${size}`, "Content-Encoding: IDENTITY"), content),
  ],
  "a date to retry that is not one": [
    send(head("503 Service Unavailable", "Retry-After: soon; perhaps")),
    send(whole, content),
  ],
  "a range of a file of unknown length": [
    send(head("200 OK", 'ETag: "a"', `Content-Length: ${size}`), content.subarray(0, 300_000)),
    send(
      head("206 Partial Content", 'ETag: "a"', `Content-Range: bytes 234464-${size - 1}/*`),
      content.subarray(234_464),
    ),
  ],
  "a drip, and then the file": [dripping(whole, "x"), send(whole, content)],
};

for (const [what, answers] of Object.entries(accepted)) {
  test(`accepted: ${what}`, async (t) => {
    const { pull, files } = await setUp(t, answers);
    assert.equal((await pull()).sha256, sha256);
    assert.deepEqual(await files(), [`${name}.pth`, `${name}.pth.sha256`]);
  });
}

test("a file that does not fit on the disk is refused before anything is written", async (t) => {
  const announced = send(head("200 OK", `Content-Length: ${2 ** 49}`), "abc");
  const { pull, requests, files } = await setUp(t, [announced], { maxBytes: 2 ** 60 });
  await assert.rejects(pull(), (error) => {
    assert.ok(error instanceof OutputError, String(error));
    assert.match(error.message, /562949954 MB are to come, and its disk has room for \d+ MB/);
    assert.match(error.hint ?? "", /AVSEG_CACHE/);
    return true;
  });
  assert.deepEqual([requests.length, await files()], [1, []]);
});

/** What a request says of its sender. */
const secretsOf = (request: string | undefined) => request?.match(/^(authorization|cookie): .*$/gim) ?? [];

test("another name of the same machine is another host, which gets neither password nor cookie", async (t) => {
  let elsewhere = "";
  const { url, requests, pull } = await setUp(t, [
    (socket) => socket.end(head("302 Found", `Location: ${elsewhere}/moved`)),
    send(
      head("200 OK", "Content-Type: text/html", "Set-Cookie: id=1"),
      '<form id="download-form" action="/asked">',
    ),
    (socket) => {
      socket.write(head("200 OK", "Content-Type: text/html", "Set-Cookie: id=2"));
      socket.end(`<form id="download-form" action="${url}/confirmed">`);
    },
    send(whole, content),
  ]);
  elsewhere = url.replace("127.0.0.1", "localhost");
  assert.equal((await pull(`${url.replace("//", "//ann:s3cret@")}/x`)).sha256, sha256);
  assert.deepEqual(requests.map(secretsOf), [
    [`authorization: Basic ${Buffer.from("ann:s3cret").toString("base64")}`],
    [],
    ["cookie: id=1"],
    [],
  ]);
});

test("names in the listing of a folder lead nowhere else", async (t) => {
  const hosts = await imitateHosts(t);
  const folderId = "1COs4afrbB0PC50jo3j1lA_Ue_XNtyQMU";
  hosts.content.set("s4", content);
  const entries = [{ id: "s4", name: "../../etc/S4_pvt\u001b[2J.pth" }];
  for (const listing of [
    { view: folderView(entries) },
    { view: "<html></html>", page: folderPage(entries) },
  ]) {
    hosts.folders.set(folderId, listing);
    const dir = await tempDir(t);
    const pulled = await pullWeights("seavs-s4", { cacheDir: dir, retryDelayMs: 1, env: hosts.env });
    assert.equal(pulled.path, path.join(dir, "weights", "seavs-s4.pth"));
    assert.ok(pulled.source?.endsWith("(.._.._etc_S4_pvt\u001b[2J.pth)"), pulled.source);
    assert.deepEqual(await readdir(dir), ["weights"]);
  }
});
