import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import test, { type TestContext } from "node:test";
import { tempDir } from "../../../test/temp-dir.js";
import { seededWeights, tinyS4 } from "../../../test/tiny-models.js";
import { torchFile } from "../../../test/torch-file.js";
import { zip } from "../../../test/zip-writer.js";
import { checkConfig } from "../../config/validate.js";
import { parseYamlConfig } from "../../config/yaml.js";
import { writeSoundShapes } from "../../datasets/sound-shapes/write.js";
import { AvsegError } from "../../errors.js";
import { DEMO_MODEL } from "../../segment/node/shipped-models.js";
import type { FineTuneState } from "../fine-tuning.js";
import type { ChildCommand } from "./child-command.js";
import { comparedClips, comparedPicture } from "./compared-clips.js";
import type { FineTuningStart } from "./fine-tuning-folder.js";
import { FineTunings } from "./fine-tunings.js";
import { RequestError } from "./requests.js";

/** The zip of a dataset of one clip for training. */
async function uploadedDataset(dir: string, task: "ms3" | "avss"): Promise<string> {
  const counts = { train: 1, val: 1, test: 1 };
  const { folder } = await writeSoundShapes({ task, root: path.join(dir, "made"), counts, imageSize: 64 });
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names
    .filter((entry) => entry.isFile())
    .map(async (entry): Promise<[string, Uint8Array]> => {
      const file = path.join(entry.parentPath, entry.name);
      const name = path.relative(path.dirname(folder), file).split(path.sep).join("/");
      return [name, new Uint8Array(await readFile(file))];
    });
  const file = path.join(dir, `${task}.zip`);
  await writeFile(file, zip(Object.fromEntries(await Promise.all(files))));
  return file;
}

/** A request to fine-tune the small model. */
async function request(dir: string, change: Partial<FineTuningStart> = {}): Promise<FineTuningStart> {
  return {
    dataset: await uploadedDataset(dir, "ms3"),
    model: { checkpoint: DEMO_MODEL.file },
    ...{ modelName: "small", isUpload: false, name: "../../clip of mine.mp4" },
    ...{ aspect: 1.5, epochs: 4, rateFraction: 0.5 },
    ...change,
  };
}

/** Commands that do what `avseg eval` and `avseg train` do to the folder, when they are let go on. */
class Commands {
  readonly started: string[] = [];
  /** Which command fails or waits; others end at once. */
  fails: string | undefined;
  waits: string | undefined;
  #release: (() => void) | undefined;

  readonly start = (args: readonly string[]): ChildCommand => {
    const [command = ""] = args;
    const out = args[args.indexOf("--out") + 1] ?? "";
    const name = command === "train" ? "train" : path.basename(out);
    this.started.push(name);
    let interrupt = (): void => undefined;
    const finished = new Promise<void>((resolve, reject) => {
      interrupt = () => reject(new AvsegError("interrupted."));
      this.#release = () => {
        if (this.fails === name) reject(new AvsegError("no memory", { hint: "Free some." }));
        else writeOutput(name, out).then(resolve, reject);
      };
      if (this.waits !== name) this.#release();
    });
    return { finished, interrupt, close: async () => interrupt() };
  };

  /** Lets the waiting command end. */
  release(): void {
    this.waits = undefined;
    this.#release?.();
  }
}

async function writeOutput(name: string, out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  if (name === "train") {
    const line = (epoch: number) => `${JSON.stringify({ kind: "epoch", step: epoch + 1, epoch, loss: 1 })}\n`;
    await writeFile(path.join(out, "metrics.jsonl"), [0, 1, 2, 3].map(line).join(""));
    return;
  }
  const miou = name === "before" ? 0.25 : 0.75;
  const summary = { miou, fscore: miou };
  const clips = [{ id: "shapes_train_00000", category: "", ...summary }];
  const evaluation = { task: "ms3", batchSize: 1, summary, metrics: {}, clips, context: { split: "train" } };
  await writeFile(path.join(out, "evaluation.json"), JSON.stringify(evaluation));
}

async function opened(t: TestContext) {
  const dir = await tempDir(t);
  const commands = new Commands();
  const runs = path.join(dir, "runs");
  const open = () => new FineTunings(runs, { provider: "cpu", start: commands.start });
  return { dir, runs, commands, open, tunings: open() };
}

async function until(tunings: FineTunings, id: string, state: FineTuneState) {
  for (;;) {
    const job = await tunings.get(id);
    if (job.state === state) return job;
    if (["failed", "done"].includes(job.state)) assert.fail(`${job.state}: ${job.error}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const refusal = (status: number) => (error: unknown) =>
  error instanceof RequestError && error.status === status && error.hint !== undefined;

test("a fine-tuning evaluates, trains and evaluates, in a folder of its own below the runs", async (t) => {
  const { dir, runs, commands, tunings } = await opened(t);
  const { id, name, state } = await tunings.start(await request(dir));
  assert.equal(name, "studio/clip_of_mine");
  assert.ok(state === "before" || state === "training" || state === "after");
  const done = await until(tunings, id, "done");
  assert.deepEqual(commands.started, ["before", "train", "after"]);
  assert.deepEqual([done.before, done.after, done.epoch, done.epochs], [0.25, 0.75, 4, 4]);
  const folder = path.join(runs, "studio", "clip_of_mine");
  const text = await readFile(path.join(folder, "config.yaml"), "utf8");
  const { training, data, model } = checkConfig(parseYamlConfig(text, "config.yaml"));
  assert.deepEqual([training.epochs, training.optimizer.learningRate, training.valSplit], [4, 3e-4, "train"]);
  assert.deepEqual([data.root, data.imageSize], [path.join(folder, "data"), 96]);
  assert.equal(model.visual.kind, "pvt-v2-b0");
  // Another video of that name gets another folder, and what is done is not resumed.
  const again = await tunings.start(await request(dir));
  assert.equal(again.name, "studio/clip_of_mine-2");
  await until(tunings, again.id, "done");
  assert.deepEqual(
    (await tunings.list()).map((job) => job.name),
    ["studio/clip_of_mine-2", "studio/clip_of_mine"],
  );
  await assert.rejects(tunings.resume(id), refusal(409));
  await assert.rejects(tunings.stop(id), refusal(409));
  await assert.rejects(tunings.get("unknown"), refusal(404));
});

test("only one runs at a time, also of two that are started at once", async (t) => {
  const { dir, runs, commands, tunings } = await opened(t);
  commands.waits = "train";
  const options = await request(dir);
  const both = await Promise.allSettled([tunings.start(options), tunings.start(options)]);
  const [first, second] = both;
  assert.ok(first.status === "fulfilled" && second.status === "rejected");
  assert.ok(refusal(409)(second.reason));
  assert.deepEqual(await readdir(path.join(runs, "studio")), ["clip_of_mine"]);
  await until(tunings, first.value.id, "training");
  await assert.rejects(tunings.start(options), refusal(409));
  await assert.rejects(tunings.resume(first.value.id), refusal(409));
  commands.release();
  await until(tunings, first.value.id, "done");
});

test("one that is stopped, or ended with the studio, is resumed where it was", async (t) => {
  const { dir, commands, tunings, open } = await opened(t);
  commands.waits = "train";
  const { id } = await tunings.start(await request(dir));
  await until(tunings, id, "training");
  assert.match((await tunings.stop(id)).state, /^stopp(ing|ed)$/);
  await until(tunings, id, "stopped");
  await tunings.resume(id);
  await until(tunings, id, "training");
  await tunings.close();
  const later = open();
  assert.deepEqual(
    (await later.list()).map(({ state, before, after }) => [state, before, after]),
    [["stopped", 0.25, undefined]],
  );
  commands.waits = undefined;
  await later.resume(id);
  assert.equal((await until(later, id, "done")).after, 0.75);
  assert.deepEqual(commands.started, ["before", "train", "train", "train", "after"]);
});

test("one that fails says why, and can be resumed", async (t) => {
  const { dir, commands, tunings } = await opened(t);
  commands.fails = "train";
  const { id } = await tunings.start(await request(dir));
  const { error, hint } = await until(tunings, id, "failed");
  assert.deepEqual([error, hint], ["no memory", "Free some."]);
  commands.fails = undefined;
  await tunings.resume(id);
  assert.equal((await until(tunings, id, "done")).error, undefined);
});

test("models and datasets that cannot be trained on are refused and leave nothing", async (t) => {
  const { dir, runs, commands, tunings } = await opened(t);
  const published = path.join(dir, "published.pth");
  await writeFile(published, torchFile(seededWeights(tinyS4)));
  const noDataset = path.join(dir, "no.zip");
  await writeFile(noDataset, zip({ "Multi-sources/file.txt": Buffer.from("x") }));
  for (const [change, reason] of [
    [{ model: { checkpoint: published } }, /no checkpoint of `avseg train`/],
    [{ dataset: noDataset }, /expected the root of AVSBench/],
    [{ dataset: published }, /files that a dataset of corrected clips does not have/],
    [{ dataset: await uploadedDataset(dir, "avss") }, /of different classes/],
  ] as const) {
    await assert.rejects(tunings.start(await request(dir, change)), reason);
  }
  assert.deepEqual(await readdir(path.join(runs, "studio")).catch(() => []), []);
  assert.deepEqual(commands.started, []);
});

test("uploaded model files are kept with the run", async (t) => {
  const { dir, runs, tunings } = await opened(t);
  const upload = path.join(dir, "upload");
  await mkdir(upload);
  const encoder = path.join(path.dirname(DEMO_MODEL.file), "visual.safetensors");
  const model = {
    checkpoint: path.join(upload, "mine.safetensors"),
    encoders: { visual: path.join(upload, "v") },
  };
  await writeFile(model.checkpoint, await readFile(DEMO_MODEL.file));
  await writeFile(model.encoders.visual, await readFile(encoder));
  const { id } = await tunings.start(await request(dir, { model, isUpload: true }));
  await rm(upload, { recursive: true });
  const folder = path.join(runs, "studio", "clip_of_mine");
  const text = await readFile(path.join(folder, "config.yaml"), "utf8");
  const config = checkConfig(parseYamlConfig(text, "config.yaml"));
  assert.equal(config.training.init, path.join(folder, "model", "mine.safetensors"));
  assert.equal(config.model.visual.weights, path.join(folder, "model", "v"));
  assert.deepEqual(await readdir(path.join(folder, "model")), ["mine.safetensors", "v"]);
  await until(tunings, id, "done");
});

test("pictures are those of the clips, and links to the outside are not served", async (t) => {
  const { dir, tunings } = await opened(t);
  const { id } = await tunings.start(await request(dir));
  await until(tunings, id, "done");
  const folder = await tunings.folder(id);
  const clip = "shapes_train_00000";
  assert.deepEqual(await comparedClips(folder), [{ id: clip, frames: 5, before: 0.25, after: 0.75 }]);
  for (const of of ["frame", "corrected"] as const) {
    const file = await comparedPicture(folder, { clip, frame: 4, of });
    assert.deepEqual([...(await readFile(file)).subarray(1, 4)], [...Buffer.from("PNG")]);
  }
  const predicted = path.join(folder.folderOf("after"), "pred_masks", clip);
  await mkdir(predicted, { recursive: true });
  await symlink(path.join(dir, "ms3.zip"), path.join(predicted, `${clip}_0.png`));
  for (const query of [
    { clip, frame: 0, of: "after" },
    { clip, frame: 5, of: "frame" },
    { clip, frame: 0, of: "before" },
    { clip: "../../..", frame: 0, of: "frame" },
    { clip: "shapes_val_00000", frame: 0, of: "frame" },
  ] as const) {
    await assert.rejects(comparedPicture(folder, query), refusal(404), JSON.stringify(query));
  }
});
