/** Servers that answer in ways no host should: whatever they send, no wrong file is kept, and the error helps. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { Socket } from "node:net";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { quotaPage } from "../../../test/hosts.js";
import { head, type RawAnswer, send, serveRaw } from "../../../test/raw-server.js";
import { tempDir } from "../../../test/temp-dir.js";
import { CheckpointError } from "../../errors.js";
import { encodeSafetensors } from "../safetensors.js";
import { pullWeights } from "./cache.js";

const data = Float32Array.from({ length: 150_000 }, (_, i) => i);
const content = Buffer.concat([
  ...encodeSafetensors(new Map([["weight", { dtype: "f32", shape: [150_000], data }]])),
]);
const sha256 = createHash("sha256").update(content).digest("hex");
const name = "avsegformer-s4";

const whole = head("200 OK", `Content-Length: ${content.length}`);

/** A server that gives the answers in turns, the last one again and again; the requests it got; a cache folder. */
async function serve(t: TestContext, ...answers: readonly RawAnswer[]) {
  const server = await serveRaw(t, answers);
  const dir = await tempDir(t);
  const url = `${server.url}/weights.pth`;
  const pull = () =>
    pullWeights(name, { from: url, cacheDir: dir, retryDelayMs: 1, stallMs: 10_000, maxBytes: 4e6, env: {} });
  const kept = async () =>
    (await readdir(path.join(dir, "weights")).catch((): string[] => [])).filter(
      (file) => !file.includes(".part"),
    );
  return { pull, requests: server.requests, kept };
}

/** Writes until the client leaves. After a failed write another one would wait in memory and fail at once, forever. */
function writeWithoutEnd(socket: Socket, bytes: Uint8Array | string): void {
  const more = (error?: Error | null): void => {
    if (!error && !socket.destroyed) socket.write(bytes, more);
  };
  more();
}

const refused: Record<string, readonly [message: RegExp, ...answers: readonly RawAnswer[]]> = {
  "a redirect to a local file": [
    /redirects to an invalid address/,
    send(head("302 Found", "Location: file:///etc/passwd")),
  ],
  "a redirect to a script": [/redirects to/, send(head("302 Found", "Location: javascript:alert(1)"))],
  "a redirect to data": [/redirects to/, send(head("307 Temporary Redirect", "Location: data:text/plain,x"))],
  "a redirect to FTP": [/redirects to/, send(head("301 Moved", "Location: ftp://127.0.0.1/x"))],
  "a redirect to nowhere": [/the server answered 302/, send(head("302 Found", "Content-Length: 0"))],
  "a redirect to a closed port": [
    /cannot download .*ECONNREFUSED|cannot download/,
    send(head("302 Found", "Location: http://127.0.0.1:1/x")),
  ],
  "redirects that grow": [
    /more than 10 redirects/,
    (socket, request) => {
      const at = /^GET (\S+)/.exec(request)?.[1] ?? "";
      socket.end(head("302 Found", `Location: ${at}x`));
    },
  ],
  "a body without an end": [
    /expected a weight file of 4000000 at most/,
    (socket) => {
      socket.write(head("200 OK"));
      writeWithoutEnd(socket, Buffer.alloc(200_000));
    },
  ],
  "an answer that is not HTTP": [/cannot download/, send("SSH-2.0-OpenSSH_9.6\r\n\r\n")],
  "headers without an end": [
    /cannot download/,
    (socket) => {
      socket.write("HTTP/1.1 200 OK\r\n");
      writeWithoutEnd(socket, `X-Filler: ${"x".repeat(8000)}\r\n`);
    },
  ],
  "chunks of nonsense": [
    /cannot download/,
    send(head("200 OK", "Transfer-Encoding: chunked"), "zz\r\nabc\r\n"),
  ],
  "chunks that stop": [
    /cannot download/,
    send(head("200 OK", "Transfer-Encoding: chunked"), "5\r\nabcde\r\n"),
  ],
  "two lengths": [
    /cannot download|expected safetensors/,
    send(head("200 OK", "Content-Length: 5", "Content-Length: 6"), "abcdef"),
  ],
  "a negative length": [/cannot download/, send(head("200 OK", "Content-Length: -1"), "abc")],
  "a length and chunks": [
    /cannot download|expected safetensors/,
    send(head("200 OK", "Content-Length: 3", "Transfer-Encoding: chunked"), "3\r\nabc\r\n0\r\n\r\n"),
  ],
  "no content": [/the server answered 204/, send(head("204 No Content"))],
  "an empty file": [/it is empty/, send(head("200 OK", "Content-Length: 0"))],
  "a part that nobody asked for": [
    /cannot download|continued/,
    send(head("206 Partial Content", "Content-Range: bytes 9-19/20", "Content-Length: 11"), "x".repeat(11)),
  ],
  "an unsatisfiable range of a whole file": [
    /the server answered 416/,
    send(head("416 Range Not Satisfiable", "Content-Range: bytes */0", "Content-Length: 0")),
  ],
  "not modified": [/the server answered 304/, send(head("304 Not Modified"))],
  "another protocol": [/cannot download/, send(head("101 Switching Protocols", "Upgrade: websocket"))],
  "an error in JSON with status 200": [
    /an index of weights in several files, expected one file/,
    send(head("200 OK", "Content-Type: application/json"), '{"error":"quota"}'),
  ],
  "a storage's error with status 200": [
    /expected safetensors or a PyTorch checkpoint, but it is a web page/,
    send(head("200 OK"), '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
  ],
  "a page after a comment": [
    /sent a web page|it is a web page/,
    send(head("200 OK"), "\n<!-- proxy -->\n<html><title>Blocked</title></html>"),
  ],
  "a compressed quota page": [
    /allows no more downloads/,
    send(head("200 OK", "Content-Type: text/html", "Content-Encoding: gzip"), gzipSync(quotaPage)),
  ],
  "a quota page in Brotli": [
    /allows no more downloads/,
    send(
      head("403 Forbidden", "Content-Type: text/html", "Content-Encoding: br"),
      brotliCompressSync(quotaPage),
    ),
  ],
  "a page that claims to be compressed": [
    /allows no more downloads/,
    send(head("200 OK", "Content-Type: text/html", "Content-Encoding: gzip"), quotaPage),
  ],
  "a compressed file": [
    /sent it compressed \(gzip\)/,
    send(head("200 OK", "Content-Encoding: gzip"), gzipSync(content)),
  ],
  "a quota page with other quotation marks": [
    /allows no more downloads/,
    send(
      head("200 OK", "Content-Type: text/html"),
      "<title>Google Drive - Can’t download file</title>Sorry, you can’t view or download this file at this time.",
    ),
  ],
  "a form that leads to a script": [
    /web page|redirects to/,
    send(
      head("200 OK", "Content-Type: text/html"),
      '<form id="download-form" action="javascript:1"><input name="confirm" value="t"></form>',
    ),
  ],
  "a form that leads to a local file": [
    /web page|redirects to/,
    send(
      head("200 OK", "Content-Type: text/html"),
      '<form id="download-form" action="file:///etc/passwd"><input name="confirm" value="t"></form>',
    ),
  ],
  "overload for days": [/429/, send(head("429 Too Many Requests", "Retry-After: 999999999999999999"))],
  "overload until the year 9999": [
    /429/,
    send(head("429 Too Many Requests", "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT")),
  ],
};

for (const [what, [message, ...answers]] of Object.entries(refused)) {
  test(`refused: ${what}`, async (t) => {
    const { pull, requests, kept } = await serve(t, ...answers);
    await assert.rejects(pull(), (error) => {
      assert.ok(error instanceof CheckpointError, String(error));
      assert.match(error.message, message);
      assert.ok(error.hint?.endsWith("."), error.hint);
      assert.ok(error.message.length < 1000 && !/[\r\n]/.test(error.message), error.message);
      return true;
    });
    assert.ok(requests.length <= 11, `${requests.length} requests`);
    assert.deepEqual(await kept(), []);
  });
}

const accepted: Record<string, readonly RawAnswer[]> = {
  "hints before the answer": [send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", whole, content)],
  "chunks and no length": [
    (socket) => {
      socket.write(head("200 OK", "Transfer-Encoding: chunked"));
      for (let at = 0; at < content.length; at += 60_000) {
        const piece = content.subarray(at, at + 60_000);
        socket.write(`${piece.length.toString(16)}\r\n`);
        socket.write(piece);
        socket.write("\r\n");
      }
      socket.end("0\r\n\r\n");
    },
  ],
  "a part that is the whole": [
    send(
      head("206 Partial Content", `Content-Range: bytes 0-${content.length - 1}/${content.length}`),
      content,
    ),
  ],
  "an overloaded server that asks for a moment": [
    send(head("503 Service Unavailable", "Retry-After: -5")),
    send(head("429 Too Many Requests", "Retry-After: 0.01")),
    send(whole, content),
  ],
  "resets and closed connections": [
    (socket) => socket.resetAndDestroy(),
    send(),
    send(whole, content.subarray(0, 1000)),
    send(whole, content),
  ],
  "an entity tag that changes in every answer": [
    send(head("200 OK", `Content-Length: ${content.length}`, 'ETag: "1"'), content.subarray(0, 200_000)),
    send(
      head(
        "206 Partial Content",
        'ETag: "2"',
        `Content-Range: bytes 134464-${content.length - 1}/${content.length}`,
      ),
      content.subarray(134_464),
    ),
    send(head("200 OK", `Content-Length: ${content.length}`, 'ETag: "3"'), content),
  ],
  "a redirect to another place of itself": [
    send(head("302 Found", "Location: ?token=1#part")),
    send(whole, content),
  ],
};

for (const [what, answers] of Object.entries(accepted)) {
  test(`accepted: ${what}`, async (t) => {
    const { pull, kept } = await serve(t, ...answers);
    const pulled = await pull();
    assert.equal(pulled.sha256, sha256);
    assert.deepEqual(await readFile(pulled.path), content);
    assert.deepEqual((await kept()).sort(), [`${name}.pth`, `${name}.pth.sha256`]);
  });
}
