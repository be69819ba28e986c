import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tempDir } from "../../test/temp-dir.js";
import { slice } from "./options.js";
import { uniqueNames } from "./segment-videos.js";

test("every video gets a folder of its own", () => {
  const videos = ["a/clip.mp4", "b/clip.mp4", "b/CLIP.mov", "clip-2.webm", "noextension", ".mp4", "x.tar.gz"];
  assert.deepEqual(uniqueNames(videos), [
    "clip",
    "clip-2",
    "CLIP-3",
    "clip-2-2",
    "noextension",
    ".mp4",
    "x.tar",
  ]);
});

test("a slice is two times in seconds or with colons, either of which may be left out", () => {
  assert.deepEqual(slice("90-120.5"), { startSeconds: 90, endSeconds: 120.5 });
  assert.deepEqual(slice("1:30-1:02:03"), { startSeconds: 90, endSeconds: 3723 });
  assert.deepEqual(slice("90-"), { startSeconds: 90, endSeconds: undefined });
  assert.deepEqual(slice("-2:00"), { startSeconds: 0, endSeconds: 120 });
  for (const text of ["", "-", "5", "8-3", "3-3", "a-b", "1:-2", "1-2-3", "1:2:3:4-"]) {
    assert.throws(() => slice(text), /expected START-END/, text);
  }
});

test("lines of JSON for programs, a video from standard input, masks on standard output", async (t) => {
  const dir = await tempDir(t);
  const video = path.join(dir, "v.mp4");
  const sources = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=5", "-f", "lavfi", "-i", "sine"];
  spawnSync("ffmpeg", ["-v", "error", ...sources, "-t", "2", "-preset", "ultrafast", video]);
  const main = path.join(import.meta.dirname, "main.js");
  const run = (args: readonly string[], input?: Buffer) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [main, "segment", ...args], {
      cwd: dir,
      input,
    });
    assert.equal(status, 0, String(stderr));
    return String(stdout)
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const events = run([video, "--json", "--rate", "2", "--no-overlay", "--out", dir]);
  const kinds = ["model", "start", ...new Array<string>(4).fill("progress"), "done"];
  assert.deepEqual(
    events.map(({ event }) => event),
    kinds,
  );
  const { predictions, runs, usualRuns } = events[1] ?? {};
  assert.deepEqual([predictions, runs, usualRuns], [4, 2, 1]);
  assert.equal(events.at(-1)?.masks, 4);

  const masks = run(["-", "--out", "-"], await readFile(video)).filter(({ event }) => event === "mask");
  assert.deepEqual(
    masks.map((mask) => [mask.video, mask.time, Array.isArray(mask.objects)]),
    [
      ["-", 0.9375, true],
      ["-", 1.9375, true],
    ],
  );
  assert.deepEqual((await readdir(dir)).sort(), ["v", "v.mp4"]);
});

test("an interrupted video is not called done", async (t) => {
  const dir = await tempDir(t);
  const video = path.join(dir, "long.mp4");
  const sources = ["-f", "lavfi", "-i", "testsrc=s=64x64:r=5", "-f", "lavfi", "-i", "sine"];
  spawnSync("ffmpeg", ["-v", "error", ...sources, "-t", "300", "-preset", "ultrafast", video]);
  const main = path.join(import.meta.dirname, "main.js");
  const out = path.join(dir, "out");
  const child = spawn(process.execPath, [main, "segment", video, "--out", out]);
  let stderr = "";
  child.stderr.on("data", (piece: Buffer) => {
    stderr += String(piece);
  });
  const closed = once(child, "close");
  const masks = async (): Promise<number> => {
    const names = await readdir(out, { recursive: true }).catch(() => []);
    return names.filter((name) => name.endsWith(".png")).length;
  };
  while (child.exitCode === null && (await masks()) < 2) await sleep(20);
  child.kill("SIGINT");
  const [code] = await closed;
  assert.equal(code, 130, stderr);
  assert.match(stderr, /avseg: interrupted\. Videos that were finished are kept\.\n$/);
  assert.doesNotMatch(stderr, /done in/);
});
