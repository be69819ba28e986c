/** A training run killed at random moments and resumed ends with the very bytes of an uninterrupted one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { root } from "./support.js";

const main = path.join(root, "dist", "src", "cli", "main.js");
let dir = "";
before(async () => {
  dir = await mkdtemp(path.join(tmpdir(), "avseg-resume-"));
});
after(() => rm(dir, { recursive: true, force: true }));

const config = (task: string, freezeEpochs: number) => `
task: ${task}
model:
  visual:
    { kind: pvt-v2, dims: [8, 8, 20, 32], depths: [1, 1, 1, 1], heads: [1, 2, 5, 8], mlpRatios: [2, 2, 2, 2],
      reductions: [8, 4, 2, 1], dropPath: 0.2, freezeEpochs: ${freezeEpochs} }
  audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8, train: ${freezeEpochs === 0} }
  decoder: { convDim: 8, heads: 4 }
data: { root: ${path.join(dir, "data")}, imageSize: 32, batchSize: 4, workers: 1 }
runtime: { threads: 1 }
training:
  { epochs: 2, evaluateFrom: 0, optimizer: { learningRate: 1.0e-3 }, checkpointEverySteps: 1 }
`;

/** Runs the command, killing it `delayMs` after it has renewed its checkpoint `killAfter` times; the exit code. */
async function train(
  args: string[],
  workDir: string,
  killAfter = Infinity,
  delayMs = 0,
): Promise<number | null> {
  const child = spawn(process.execPath, [main, "train", ...args, "--out", workDir], {
    stdio: ["ignore", "ignore", "pipe"],
    // The uninterrupted run fills the cache of audio embeddings, the others read from it.
    env: { ...process.env, AVSEG_CACHE: path.join(dir, "cache") },
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += String(chunk);
  });
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve));
  let running = true;
  void ended.then(() => {
    running = false;
  });
  const inode = async () => (await stat(path.join(workDir, "last.safetensors")).catch(() => undefined))?.ino;
  let seen = await inode();
  for (let renewed = 0; running && renewed < killAfter; await sleep(5)) {
    const now = await inode();
    if (now !== seen) renewed++;
    seen = now;
  }
  if (running) {
    await sleep(delayMs);
    child.kill("SIGKILL");
  }
  const code = await ended;
  assert.ok(code === 0 || child.killed, `ended by ${child.signalCode ?? `code ${code}`}: ${errors}`);
  return code;
}

const cases = [
  { task: "s4", freezeEpochs: -1, what: "frozen encoders" },
  { task: "ms3", freezeEpochs: 1, what: "a visual encoder unfrozen half-way" },
  { task: "avss", freezeEpochs: 0, what: "both encoders trained" },
] as const;

for (const { task, freezeEpochs, what } of cases) {
  test(`${task}, ${what}: kill -9 and resume is exact`, async (t) => {
    const counts = { train: 7, val: 2, test: 1 };
    await writeSoundShapes({ task, root: path.join(dir, "data"), counts, imageSize: 32 });
    const file = path.join(dir, `${task}.yaml`);
    await writeFile(file, config(task, freezeEpochs));
    const [whole, parts] = [path.join(dir, `${task}-whole`), path.join(dir, `${task}-parts`)];
    assert.equal(await train([task, file], whole), 0);
    const moments: string[] = [];
    for (let kills = 0; kills < 3; kills++) {
      const after = 1 + Math.floor(Math.random() * 2);
      const delayMs = Math.random() < 0.5 ? Math.random() * 20 : Math.random() * 300;
      moments.push(`${delayMs.toFixed(1)} ms after ${after}`);
      if ((await train([task, file, "--resume"], parts, after, delayMs)) === 0) break;
    }
    t.diagnostic(`killed ${moments.join(", ")} checkpoints`);
    assert.equal(await train([task, file, "--resume"], parts), 0);
    for (const name of ["last.safetensors", "best.safetensors", "metrics.jsonl"]) {
      const [expected, found] = await Promise.all([whole, parts].map((d) => readFile(path.join(d, name))));
      assert.ok(
        expected && found?.equals(expected),
        `${name} differs (killed ${moments.join(", ")} checkpoints)`,
      );
    }
  });
}
