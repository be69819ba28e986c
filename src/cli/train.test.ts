import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { chmod, copyFile, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import { closeFolder, ordinaryNode } from "../../test/ordinary-user.js";
import { tempDir } from "../../test/temp-dir.js";
import { writeSoundShapes } from "../datasets/sound-shapes/write.js";
import { loadCheckpoint, readCheckpointInfo } from "../training/checkpoint.js";
import { epochView } from "./train.js";

const main = path.join(import.meta.dirname, "main.js");
const dir = await tempDir({ after });
let file = "";
let cache = "";

before(async () => {
  file = path.join(dir, "tiny.yaml");
  cache = path.join(dir, "cache");
  const counts = { train: 6, val: 2, test: 2 };
  await writeSoundShapes({ task: "s4", root: path.join(dir, "data"), counts, imageSize: 32 });
  await writeFile(
    file,
    `task: s4
model:
  visual: { kind: pvt-v2, dims: [8, 8, 20, 32], depths: [1, 1, 1, 1], heads: [1, 2, 5, 8], mlpRatios: [2, 2, 2, 2], reductions: [8, 4, 2, 1] }
  audio: { widths: [4, 4, 4, 4, 4, 4], hidden: 8 }
  decoder: { convDim: 8, heads: 4 }
data: { root: ${path.join(dir, "data")}, imageSize: 32, batchSize: 3, workers: 1 }
training: { epochs: 500, checkpointEverySteps: 1 }
runtime: { threads: 1 }
`,
  );
});

/** Runs avseg; `onOutput` sees stdout as it grows and may signal the process. */
function avseg(
  args: string[],
  onOutput?: ((text: string, interrupt: () => void, child: ChildProcess) => void) | undefined,
  env: Readonly<Record<string, string>> = { AVSEG_CACHE: cache },
) {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env } });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += String(chunk);
    onOutput?.(stdout, () => child.kill("SIGINT"), child);
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += String(chunk);
  });
  return new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once("close", (code) => resolve({ code, stdout, stderr }));
  });
}

test("Ctrl-C saves, says how to continue, and exits with 130; then the run resumes and evaluates", async () => {
  const out = path.join(dir, "run");
  const { code, stderr } = await avseg(["train", "s4", file, "--out", out], (text, interrupt) => {
    if (text.includes("epoch 2/500")) interrupt();
  });
  assert.equal(code, 130, stderr);
  assert.match(
    stderr,
    /avseg: interrupted\. All finished steps are saved in .*continue with: avseg train s4 .* --resume/,
  );
  const { step, epoch } = (await readCheckpointInfo(path.join(out, "last.safetensors"))).progress;
  assert.ok(step >= 4 && epoch >= 2);
  const resumed = await avseg([
    "train",
    "s4",
    file,
    "--out",
    out,
    "--resume",
    "--set",
    `training.epochs=${epoch + 1}`,
  ]);
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.match(resumed.stdout, new RegExp(`resuming in epoch \\d+ .*\\(${step} steps done\\)`));

  const best = path.join(out, "best.safetensors");
  const evaluated = await avseg([
    "eval",
    "s4",
    file,
    best,
    "--out",
    path.join(dir, "eval"),
    "--json",
    "--no-report",
  ]);
  assert.equal(evaluated.code, 0, evaluated.stderr);
  assert.ok(!existsSync(path.join(out, "eval-test")));
  const refined = await avseg(["eval", "s4", file, best, "--refine", "--json", "--no-report"]);
  assert.equal(refined.code, 0, refined.stderr);
  assert.notDeepEqual(JSON.parse(refined.stdout), JSON.parse(evaluated.stdout));
  assert.ok(existsSync(path.join(out, "eval-test-refined", "evaluation.json")));
  const below = await avseg(["eval", "s4", file, best]);
  assert.equal(below.code, 0, below.stderr);
  const page = await readFile(path.join(out, "eval-test", "report.html"), "utf8");
  const lossCurve = /<path class="line [^"]*" d="([^"]*)"/.exec(page)?.[1] ?? "";
  assert.equal(lossCurve.match(/[ML]/g)?.length, epoch + 1, "the curve reaches the last epoch");
  const metrics: unknown = JSON.parse(evaluated.stdout);
  assert.ok(typeof metrics === "object" && metrics !== null && "miouPublishedPerBatch" in metrics);
});

test("a run's folder is refused, or resumed by the same run only", async () => {
  const out = path.join(dir, "kept");
  const best = path.join(out, "best.safetensors");
  await mkdir(out);
  await copyFile(path.join(dir, "run", "best.safetensors"), best);
  await writeFile(path.join(out, ".tmp-notes"), "mine");
  const args = ["train", "s4", file, "--out", out];
  const again = await avseg(args);
  assert.match(again.stderr, /it already holds a run .*best\.safetensors/);
  const other = await avseg([...args, "--resume", "--set", "training.seed=9"]);
  assert.match(other.stderr, /training\.seed: expected 123 as in .*best\.safetensors, found 9/);
  assert.deepEqual([again.code, other.code], [1, 1]);
  assert.deepEqual(await readFile(best), await readFile(path.join(dir, "run", "best.safetensors")));
  const resumed = await avseg([...args, "--resume", "--set", "training.epochs=1"]);
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal(await readFile(path.join(out, ".tmp-notes"), "utf8"), "mine");
});

test("a second run in the folder of a running one is refused with a message, for training and evaluation", async () => {
  const out = path.join(dir, "shared");
  const seconds: ReturnType<typeof avseg>[] = [];
  let pid: number | undefined;
  const first = await avseg(["train", "s4", file, "--out", out], (text, interrupt, child) => {
    if (!text.includes("epoch 1/500") || seconds.length > 0) return;
    pid = child.pid;
    const best = path.join(out, "best.safetensors");
    seconds.push(
      avseg(["train", "s4", file, "--out", out, "--resume"]),
      avseg(["train", "s4", file, "--out", out, "--overwrite"]),
      avseg(["eval", "s4", file, best, "--out", out]),
    );
    void Promise.all(seconds).then(interrupt);
  });
  assert.equal(first.code, 130, first.stderr);
  assert.equal(seconds.length, 3);
  for (const { code, stderr } of await Promise.all(seconds)) {
    assert.equal(code, 1, stderr);
    const text = `avseg: ${out}: in use by avseg train (process ${pid} on ${hostname()}, started 20`;
    assert.ok(stderr.includes(text), stderr);
    assert.match(stderr, /\nhint: Wait until it ends, or choose another folder with --out\.\n$/);
  }
  // The next one finds the folder free, and the run's files whole.
  const set = ["--set", "training.epochs=1", "--set", "training.evaluateFrom=0"];
  const next = await avseg(["train", "s4", file, "--out", out, "--resume", ...set]);
  assert.equal(next.code, 0, next.stderr);
  assert.ok(!(await readdir(out)).some((name) => name.includes("lock")));
});

test("a run that fails before its first checkpoint leaves no folder", async () => {
  const out = path.join(dir, "never", "made");
  const { code } = await avseg(["train", "s4", file, "--out", out, "--set", `data.root=${dir}`]);
  assert.equal(code, 1);
  assert.ok(!existsSync(path.dirname(out)));
});

test("frozen encoders without weights are worth a warning", async () => {
  const args = ["train", "s4", file, "--set", "training.epochs=1", "--out", path.join(dir, "random")];
  const { stdout, stderr } = await avseg(args);
  assert.match(stdout, /encoders: visual random, audio random/);
  assert.match(stderr, /warning: the visual encoder has random weights that are never trained/);
  const unfrozen = ["model.visual.freezeEpochs=0", "model.audio.train=true"].flatMap((set) => ["--set", set]);
  const training = await avseg([...args, "--overwrite", ...unfrozen]);
  assert.doesNotMatch(training.stderr, /random weights/);
});

test("the audio cache is filled by training and by evaluation, and is no condition for either", async () => {
  const entries = (await readdir(cache, { recursive: true })).filter((name) => /\b[0-9a-f]{62}$/.test(name));
  assert.equal(entries.length, 10, "of the 6 clips to train on, 2 to validate and 2 to test");
  const args = ["train", "s4", file, "--set", "training.epochs=1", "--out"];
  const blocked = await avseg([...args, path.join(dir, "blocked")], undefined, { AVSEG_CACHE: file });
  assert.equal(blocked.code, 0, blocked.stderr);
  assert.equal(blocked.stderr.match(/^avseg: warning: audio embeddings are not kept/gm)?.length, 1);
  const off = await avseg([...args, path.join(dir, "off"), "--set", "data.audioCache=false"], undefined, {
    AVSEG_CACHE: file,
  });
  assert.equal(off.code, 0, off.stderr);
  assert.doesNotMatch(off.stderr, /warning: audio/);
  const [a, b] = await Promise.all(
    ["blocked", "off"].map(
      async (name) => (await loadCheckpoint(path.join(dir, name, "last.safetensors"))).parameters,
    ),
  );
  assert.deepEqual(a, b);
});

test("progress shows the time left of the epoch and of the run", () => {
  let time = 0;
  let line = "";
  const stream = {
    isTTY: true,
    columns: 80,
    write: (text: string) => {
      line = text.replace("\r\x1b[K", "");
    },
  };
  const view = epochView({ epochs: 30 }, { stream, now: () => time });
  const step = (epoch: number, batch: number): void => {
    time += 1000;
    view({ kind: "step", epoch, batch, batches: 1000, loss: 0.5, learningRate: 1e-4, reports: {} });
  };
  step(2, 100); // a resumed run
  step(2, 101);
  assert.equal(line, "epoch 3/30  [#......]  101/1000  10%  14:59 left  run 7:44:59 left  loss 0.5000");
  view({ kind: "validation", epoch: 2, done: 1, total: 2 });
  step(29, 999);
  assert.match(line, /999\/1000 .* {2}loss 0\.5000$/);
  assert.doesNotMatch(line, /run/);
});

test("what is wrong is one line, before anything is written", async () => {
  const cases: [args: string[], code: number, stderr: RegExp][] = [
    [
      ["train", "s4", path.join(dir, "absent.yaml")],
      1,
      /^avseg: .*absent\.yaml: there is no such file\nhint: /,
    ],
    [["train", "s5", file], 2, /^avseg: .*'s5' is invalid.*Allowed choices are s4, ms3, avss/],
    [["train", "s4", file, "--sett", "a=1"], 2, /Did you mean --set/],
    [["train", "s4", file, "--set", "foo"], 2, /'foo' is invalid\. expected KEY=VALUE.*\nhint: /],
    [["train", "s4", "README.md"], 1, /\(README\.md line \d+\)\nhint: Give a YAML configuration/],
    [["weights", "convert", file, file], 2, /^avseg: .* is the checkpoint itself.*\nhint: /],
    [
      ["train", "s4", file, "--set", "training.epoch=1"],
      1,
      /unknown key training\.epoch .*\nhint: Did you mean training\.epochs\?/,
    ],
    [
      ["train", "s4", file, "--set", `data.root=${dir}`],
      1,
      /^avseg: .*expected the root of AVSBench.*\nhint: /,
    ],
    [
      ["train", "s4", file, "--set", "model.visual.weights=gone.pth"],
      1,
      /gone\.pth: no such weight file\nhint: /,
    ],
    [["train", "s4", file, "--out", path.join(file, "run")], 1, /^avseg: cannot write .*\nhint: /],
    [["train", "s4", file, "--resume", "--overwrite"], 2, /^avseg: --resume .*--overwrite .*\nhint: /],
    [["export", file, "--out", file], 2, /^avseg: --out .* is the checkpoint itself.*\nhint: /],
    [["eval", "s4", file, file, "--workers", "257"], 2, /expected an integer, 0 to 256/],
    [["eval", "s4", file, path.join(dir, "gone.safetensors")], 1, /gone\.safetensors: no such weight file/],
  ];
  for (const [args, code, stderr] of cases) {
    const found = await avseg(args);
    assert.match(found.stderr, stderr, args.join(" "));
    assert.equal(found.code, code, args.join(" "));
    assert.ok(found.stderr.trimEnd().split("\n").length <= 3, found.stderr);
  }
});

test("an output folder without permission is refused", {
  skip: process.platform === "win32" && "POSIX only",
}, async () => {
  const closed = path.join(dir, "closed");
  await mkdir(closed);
  await closeFolder(closed);
  await chmod(dir, 0o755); // the other user reads the configuration and the data there
  const { command, prefix, options } = ordinaryNode();
  const args = [...prefix, main, "train", "s4", file, "--out", path.join(closed, "run")];
  const { status, stderr } = spawnSync(command, args, {
    ...options,
    encoding: "utf8",
    env: { ...process.env, AVSEG_CACHE: cache },
  });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /no permission to write there/);
});
