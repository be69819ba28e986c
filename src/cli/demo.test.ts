import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdir, writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../test/temp-dir.js";

test("a video that cannot be segmented is refused before anything is made", async (t) => {
  const dir = await tempDir(t);
  const text = path.join(dir, "text.mp4");
  await writeFile(text, "hello");
  const main = path.join(import.meta.dirname, "main.js");
  for (const [video, expected] of [
    [path.join(dir, "typo.mp4"), /^avseg: .*typo\.mp4: there is no such video file\nhint: Check the path/],
    [text, /^avseg: .*text\.mp4: ffprobe cannot read it: .*\nhint: Check that it plays/],
  ] as const) {
    const args = [main, "demo", video, "--out", path.join(dir, "out")];
    const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 20_000 });
    assert.match(stderr, expected);
    assert.equal(status, 1);
  }
  assert.deepEqual(await readdir(dir), ["text.mp4"]);
});
