/**
 * A training run that is killed and resumed ends with the very bytes of an uninterrupted one. The moments of the kills
 * follow from a seed, which failures name; set AVSEG_RESUME_SEED to repeat them.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile, rm, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { writeSoundShapes } from "../src/datasets/sound-shapes/write.js";
import { hashText, Random } from "../src/random.js";
import { root } from "./support.js";
import { tempDir } from "./temp-dir.js";

const seed = Number(process.env.AVSEG_RESUME_SEED ?? Math.floor(Math.random() * 2 ** 32));
const main = path.join(root, "dist", "src", "cli", "main.js");
const dir = await tempDir({ after });

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

/** When to kill a run: some time after it has renewed its checkpoint a number of times. */
interface Kill {
  readonly checkpoints: number;
  readonly delayMs: number;
}

/** Runs the command, to its end or until it is killed; returns whether it was killed. */
async function train(args: string[], workDir: string, kill?: Kill): Promise<boolean> {
  const child = spawn(process.execPath, [main, "train", ...args, "--out", workDir], {
    stdio: ["ignore", "ignore", "pipe"],
    // The uninterrupted run fills the cache of audio embeddings, the others read from it.
    env: { ...process.env, AVSEG_CACHE: path.join(dir, "cache") },
  });
  let errors = "";
  child.stderr.on("data", (chunk: Buffer) => {
    errors += String(chunk);
  });
  let running = true;
  const ended = new Promise<void>((resolve) => {
    child.once("exit", () => {
      running = false;
      resolve();
    });
  });
  if (kill) {
    const inode = async () =>
      (await stat(path.join(workDir, "last.safetensors")).catch(() => undefined))?.ino;
    let last = await inode();
    for (let renewed = 0; running && renewed < kill.checkpoints; await sleep(5)) {
      const now = await inode();
      if (now !== last) renewed++;
      last = now;
    }
    if (running) await sleep(kill.delayMs);
    child.kill("SIGKILL");
  }
  await ended;
  const killed = child.signalCode === "SIGKILL";
  assert.ok(killed || child.exitCode === 0, `ended by ${child.signalCode ?? child.exitCode}: ${errors}`);
  return killed;
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
    await train([task, file], whole);
    const random = new Random(seed, hashText(task));
    const moments: string[] = [];
    let kills = 0;
    // A run that is over before its kill says nothing: it begins anew, and is killed sooner.
    for (let tries = 0, longest = 300; kills < 3 && tries < 8; tries++) {
      const delayMs = random.uniform() < 0.5 ? random.uniform(0, 20) : random.uniform(0, longest);
      const kill = { checkpoints: random.uniform() < 0.5 ? 1 : 2, delayMs };
      if (await train([task, file, "--resume"], parts, kill)) {
        kills++;
        moments.push(`${delayMs.toFixed(1)} ms after ${kill.checkpoints} checkpoints`);
      } else if (kills > 0) break;
      else {
        longest /= 2;
        await rm(parts, { recursive: true, force: true });
      }
    }
    const history = `AVSEG_RESUME_SEED=${seed}: killed ${moments.join(", ")}`;
    t.diagnostic(history);
    assert.ok(kills >= 1, `no run was killed before its end (${history})`);
    await train([task, file, "--resume"], parts);
    for (const name of ["last.safetensors", "best.safetensors", "metrics.jsonl"]) {
      const [expected, found] = await Promise.all([whole, parts].map((d) => readFile(path.join(d, name))));
      assert.ok(expected && found?.equals(expected), `${name} differs (${history})`);
    }
  });
}
