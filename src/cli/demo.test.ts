import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test from "node:test";

test("a video that cannot be segmented is refused before anything is made", async (t) => {
  const dir = await mkdtemp(path.join(tmpdir(), "avseg-demo-"));
  t.after(() => rm(dir, { recursive: true }));
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
