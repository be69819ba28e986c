import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { tempDir } from "../../test/temp-dir.js";
import { uniqueNames } from "./segment.js";

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
