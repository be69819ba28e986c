/** The studio's local server as programs see it: what it refuses, and what it does for the app. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { request } from "node:http";
import path from "node:path";
import test, { after, before } from "node:test";
import { writeClipVideo } from "../src/datasets/sound-shapes/video.js";
import { type StudioServer, startStudio } from "../src/studio/node/server.js";
import {
  failureSchema,
  modelFactsSchema,
  segmentLineSchema,
  serverFileSchema,
  sessionSchema,
  TOKEN_HEADER,
  workLineSchema,
} from "../src/studio/protocol.js";
import { folderView, imitateHosts } from "./hosts.js";
import { skipStudio } from "./studio.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";
import { seededWeights, tinyS4 } from "./tiny-models.js";
import { torchFile } from "./torch-file.js";

// The server needs the built app, as the page does.
const skip = skipStudio;
const dir = await tempDir({ after });
const clip = path.join(dir, "clip.mp4");
const seavsFolder = "1COs4afrbB0PC50jo3j1lA_Ue_XNtyQMU";
const hosts = await imitateHosts({ after });
let server: StudioServer;

before(async () => {
  if (skip) return;
  Object.assign(process.env, hosts.env, { AVSEG_CACHE: path.join(dir, "cache") });
  await writeClipVideo({ task: "s4", split: "test", index: 0, seed: 1, imageSize: 96 }, clip);
  server = await startStudio({ runs: path.join(dir, "runs") });
});
after(() => server?.close());

const origin = () => new URL(server.address).origin;
const token = () => new URL(server.address).hash.replace("#token=", "");

/** A request as the app sends it. */
function ask(address: string, init: RequestInit = {}): Promise<Response> {
  return fetch(`${origin()}/api/${address}`, { ...init, headers: { [TOKEN_HEADER]: token() } });
}

const post = (address: string, body: unknown) => ask(address, { method: "POST", body: JSON.stringify(body) });

async function upload(file: string): Promise<string> {
  const response = await ask(`files?name=${path.basename(file)}`, {
    method: "POST",
    body: new Uint8Array(await readFile(file)),
  });
  return serverFileSchema.parse(await response.json()).id;
}

/** The lines of an answer, each parsed. */
async function lines<T>(response: Response, schema: { parse(value: unknown): T }): Promise<T[]> {
  const text = await response.text();
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => schema.parse(JSON.parse(line)));
}

/** A request with any headers and any path; `fetch` corrects both. */
async function raw(url: string, headers: Record<string, string>): Promise<{ status: number; body: string }> {
  const { port } = new URL(origin());
  const sent = request({ host: "127.0.0.1", port, path: url, headers });
  sent.end();
  const [response] = await once(sent, "response");
  let body = "";
  for await (const piece of response) body += String(piece);
  return { status: response.statusCode, body };
}

test("names that were rebound to this computer, other pages and missing tokens are refused", {
  skip,
}, async () => {
  const { host } = new URL(origin());
  const own = { host, [TOKEN_HEADER]: token() };
  const refusals: [string, Record<string, string>, number, RegExp][] = [
    ["/", { host: "rebound.example" }, 403, /Host header/],
    ["/api/session", { ...own, host: "rebound.example" }, 403, /Host header/],
    ["/api/session", { ...own, host: host.replace("127.0.0.1", "127.0.0.1.rebound.example") }, 403, /Host/],
    ["/api/session", { ...own, origin: "http://127.0.0.1:1" }, 403, /other pages/],
    ["/api/session", { ...own, origin: "null" }, 403, /other pages/],
    ["/api/session", { ...own, "sec-fetch-site": "cross-site" }, 403, /other pages/],
    ["/api/session", { host }, 401, /token/],
    ["/api/session", { ...own, [TOKEN_HEADER]: `${token()}x` }, 401, /token/],
    ["/../package.json", own, 404, /no such address/],
    ["/%2e%2e/package.json", own, 404, /no such address/],
    ["/assets/../../package.json", own, 404, /no such address/],
    ["/api/files/..%2f..%2fetc%2fpasswd", own, 404, /no such file/],
    ["/api/runs/Li4/log", own, 404, /no such run/],
  ];
  for (const [url, headers, status, reason] of refusals) {
    const answer = await raw(url, headers);
    assert.equal(answer.status, status, `${url} ${JSON.stringify(headers)}`);
    assert.match(answer.body, /^[^\n]*\n$/, "an error is one line");
    assert.match(failureSchema.parse(JSON.parse(answer.body)).error, reason);
  }
  assert.equal((await raw("/api/session", own)).status, 200);
});

test("malformed and oversized requests are refused", { skip }, async () => {
  for (const [address, body, status] of [
    ["model", "{", 400],
    ["model", JSON.stringify({ kind: "files", files: ["unknown"] }), 404],
    ["model", JSON.stringify({ kind: "public", name: "unknown" }), 422],
    ["segment", JSON.stringify({ file: "x" }), 400],
    ["segment", `"${"x".repeat(70_000)}"`, 413],
    ["models/unknown/download", "{}", 404],
    ["files/unknown/playable", "{}", 404],
  ] as const) {
    const response = await ask(address, { method: "POST", body });
    assert.equal(response.status, status, `${address} ${body.slice(0, 50)}`);
    assert.notEqual(failureSchema.parse(await response.json()).error, "");
  }
  const tooLong = await raw("/api/files?name=x", { host: new URL(origin()).host, [TOKEN_HEADER]: token() });
  assert.equal(tooLong.status, 404, "uploads are sent with POST");
});

test("a model and the encoders beside it are opened from uploads", { skip }, async () => {
  const files = ["demo", "visual", "audio"].map((name) =>
    path.join(root, "assets", "soundshapes", `${name}.safetensors`),
  );
  const response = await post("model", { kind: "files", files: await Promise.all(files.map(upload)) });
  const facts = modelFactsSchema.parse(await response.json());
  assert.equal(facts.runsOn, "this computer, CPU");
  const small = modelFactsSchema.parse(await (await post("model", { kind: "small" })).json());
  assert.deepEqual(facts, small);
});

test("a public model is listed with its size and licenses, downloaded once, and run", { skip }, async () => {
  const listed = async () => {
    const { models } = sessionSchema.parse(await (await ask("session")).json());
    return models.find(({ name }) => name === "seavs-s4");
  };
  assert.equal((await listed())?.downloadBytes, 662e6);
  const early = await post("model", { kind: "public", name: "seavs-s4" });
  assert.match(failureSchema.parse(await early.json()).error, /not in the cache/);
  hosts.folders.set(seavsFolder, { view: folderView([{ id: "s4", name: "S4_pvt.pth" }]) });
  hosts.content.set("s4", torchFile(seededWeights(tinyS4)));
  const progress = await lines(await post("models/seavs-s4/download", {}), workLineSchema);
  assert.deepEqual(progress.at(-1), { kind: "done" });
  assert.equal((await listed())?.downloadBytes, 0);
  const opened = await post("model", { kind: "public", name: "seavs-s4" });
  assert.equal(modelFactsSchema.parse(await opened.json()).task, "s4");
  const segment = await post("segment", {
    file: await upload(clip),
    sound: { kind: "own" },
    endSeconds: 2,
  });
  const steps = (await lines(segment, segmentLineSchema)).filter(({ kind }) => kind === "step");
  assert.equal(steps.length, 2);
});

test("a video that browsers do not decode becomes one that they do", { skip }, async () => {
  const video = path.join(dir, "old.avi");
  execFileSync("ffmpeg", ["-v", "error", "-i", clip, "-c:v", "mpeg4", "-c:a", "ac3", video]);
  const response = await post(`files/${await upload(video)}/playable`, {});
  const last = (await lines(response, workLineSchema)).at(-1);
  assert.ok(last?.kind === "done" && last.file, JSON.stringify(last));
  assert.equal(last.file.name, "old.mp4");
  const copy = new Uint8Array(await (await ask(`files/${last.file.id}`)).arrayBuffer());
  assert.equal(Buffer.from(copy.subarray(4, 8)).toString(), "ftyp");
  const words = path.join(root, "package.json");
  const failed = await lines(await post(`files/${await upload(words)}/playable`, {}), failureSchema);
  assert.match(failed[0]?.error ?? "", /package\.json|cannot read/);
});
