/** `avseg compare` over two evaluations of the model that comes with avseg. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, rm } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { root } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";

test("the page has numbers first, and every hard clip once with a row for each model", async (t) => {
  const dir = await tempDir(t);
  const avseg = (...args: string[]) => {
    const main = path.join(root, "dist/src/cli/main.js");
    const run = spawnSync(process.execPath, [main, ...args], { cwd: root, encoding: "utf8" });
    return { code: run.status, out: run.stdout, err: run.stderr };
  };
  const data = path.join(dir, "data");
  const made = avseg("data", "synth", "s4", "--out", data, "--train", "1", "--val", "1", "--test", "2");
  assert.equal(made.code, 0, made.err);
  const model = ["config/soundshapes/s4.yaml", "assets/soundshapes/demo.safetensors"];
  const [first, second] = [path.join(dir, "first"), path.join(dir, "second")];
  for (const out of [first, second]) {
    const set = ["--set", `data.root=${data}`, "--set", "data.audioCache=false"];
    const run = avseg("eval", "s4", ...model, ...set, "--sound", "own,silence", "--no-report", "--out", out);
    assert.equal(run.code, 0, run.err);
  }
  const out = path.join(dir, "page");
  const compared = avseg("compare", first, second, "--out", out);
  assert.deepEqual([compared.code, compared.err], [0, ""]);
  assert.match(compared.out, /^first {3}mIoU 0\.\d{4} {2}F 0\.\d{4}$/m);
  const page = await readFile(path.join(out, "comparison.html"), "utf8");
  const parts = ["Both protocols", "Robustness", "Cost", "Models", "As every model marks them"];
  const places = parts.map((part) => page.indexOf(`>${part}`));
  assert.ok(
    places.every((at, i) => at > (places[i - 1] ?? 0)),
    `${places}`,
  );
  assert.ok(page.includes(model[1] ?? ""));
  const cards = page.match(/<article class="clip">[\s\S]*?<\/article>/g) ?? [];
  assert.equal(cards.length, 2);
  for (const card of cards) {
    assert.deepEqual(
      ["truth at 1 s", "first at 1 s", "second at 1 s"].map((alt) => card.split(`alt="${alt}"`).length - 1),
      [1, 1, 1],
    );
  }
  // A model whose data is gone is left out of the pictures; the numbers remain.
  await rm(data, { recursive: true });
  const without = avseg("compare", first, second, "--out", out);
  assert.equal(without.code, 0, without.err);
  assert.match(without.err, /first: its clips are not shown: /);
  assert.ok(!(await readFile(path.join(out, "comparison.html"), "utf8")).includes("<article"));
});
