/** `avseg demo`: the whole of avseg in a few minutes: data, training, evaluation, a segmented video, a report. */
import path from "node:path";
import { Command } from "commander";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import { writeClipVideo } from "../datasets/sound-shapes/video.js";
import { writeSoundShapes } from "../datasets/sound-shapes/write.js";
import type { EvaluationResult } from "../evaluation/result.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import type { LoadedPredictor } from "../inference/predictor.js";
import { probeVideo } from "../media/node/probe-video.js";
import { ensureWritableDir, writeFileAtomic } from "../node/files.js";
import { packagePath } from "../node/paths.js";
import { trainingCharts } from "../report/evaluation-report.js";
import { type RunEvaluationOptions, runEvaluation } from "../report/run-evaluation.js";
import {
  DEMO_MODEL,
  NATURAL_EXAMPLE,
  NATURAL_MODEL,
  type ShippedModel,
} from "../segment/node/shipped-models.js";
import { writeSegmentation } from "../segment/node/write-segmentation.js";
import { openTraining } from "../training/open-training.js";
import type { TrainingResult } from "../training/trainer-options.js";
import { print } from "./print.js";
import { createProgress, formatDuration } from "./progress.js";
import { interruptSignal } from "./run.js";
import { describeSegments, segmentFiles } from "./segment-report.js";

/** Clips per split: enough to learn from in the few minutes that a demo may take. */
const counts = { train: 400, val: 24, test: 64 };
/** The frames are made a little larger than the model's, for pictures worth looking at. */
const frameSize = 160;
/** The video to segment, of a seed of its own, so that it is in none of the splits. */
const videoSize = 448;
const videoSeed = 7;

/** The `demo` command. */
export function demoCommand(): Command {
  return new Command("demo")
    .description(
      "make SoundShapes, train on it, evaluate, write a report, and segment a video with the natural model",
    )
    .argument("[video]", "a video of your own, for the natural model")
    .option("--out <dir>", "folder for everything that is made", "work_dir/demo")
    .addHelpText(
      "after",
      `
Examples:
  avseg demo
  avseg demo my.mp4 --out /tmp/avseg-demo`,
    )
    .action(demo);
}

interface Demo {
  readonly config: Config;
  readonly outDir: string;
  readonly signal: AbortSignal;
}

async function demo(video: string | undefined, { out }: { out: string }): Promise<void> {
  const started = performance.now();
  const signal = interruptSignal(`What is finished is in ${out}; run the demo again to start over.`);
  if (video !== undefined) await probeVideo(video, { signal }); // before minutes of training
  await ensureWritableDir(out);
  const dataRoot = path.join(out, "data");
  const { config } = await loadConfig(packagePath("config", "soundshapes", "s4.yaml"), {
    set: [`data.root=${dataRoot}`, "data.audioCache=false"], // nothing is left outside its folder
  });
  const run: Demo = { config, outDir: out, signal };

  const clipVideo = await makeData(run, dataRoot);
  const training = await train(run);
  const checkpoint = training.bestFile ?? training.lastFile;
  const predictor = await openPredictor({ checkpoint, signal });
  try {
    const overlay = await segment(run, predictor, { video: clipVideo, model: DEMO_MODEL, folder: "video" });
    const seconds = () => (performance.now() - started) / 1000;
    const [own, swapped] = await evaluateRun(run, predictor, {
      checkpoint,
      report: (results) => ({
        title: "avseg demo",
        lead:
          "A Messenger Block after each stage of a small frozen PVTv2, and a light decoder, trained from scratch " +
          `on ${counts.train} generated clips with one labeled frame each. Several objects are in view; one sounds.`,
        tiles: [
          ...results.slice(1).map(({ result: { summary } }) => ({
            label: "mIoU, sounds swapped",
            value: summary.miou.toFixed(3),
            note: "lower is better here",
          })),
          { label: "Time", value: formatDuration(seconds()), note: "data, training, evaluation, video" },
        ],
        charts: trainingCharts({ epochs: training.history, bestEpoch: training.best?.epoch }),
      }),
    });
    const natural = await segmentNatural(run, video);
    const result = {
      miou: own.miou,
      fscore: own.fscore,
      swappedMiou: swapped.miou,
      seconds: Math.round(seconds() * 10) / 10,
    };
    await writeFileAtomic(path.join(out, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
    print([
      `test mIoU ${own.miou.toFixed(3)}, F ${own.fscore.toFixed(3)}; with swapped sounds mIoU ${swapped.miou.toFixed(3)}`,
      `report:   ${path.join(out, "eval", "report.html")}`,
      `overlay:  ${overlay}`,
      `          ${natural} (the natural model)`,
      `metrics:  ${path.join(out, "result.json")}`,
      `model:    ${checkpoint}`,
      `took ${formatDuration(seconds())}`,
    ]);
  } finally {
    await predictor.close();
  }
}

/** Makes the dataset, and as a video file one clip more; returns the video's path. */
async function makeData({ outDir, signal }: Demo, root: string): Promise<string> {
  const total = counts.train + counts.val + counts.test;
  const progress = createProgress("making SoundShapes", total, { unit: "clips" });
  await writeSoundShapes({
    task: "s4",
    root,
    counts,
    imageSize: frameSize,
    signal,
    onProgress: ({ done }) => progress.update(done),
  });
  progress.done();
  const video = path.join(outDir, "clip.mp4");
  const spec = {
    task: "s4",
    split: "test",
    index: counts.test,
    seed: videoSeed,
    imageSize: videoSize,
  } as const;
  await writeClipVideo(spec, video, { signal });
  return video;
}

async function train({ config, outDir, signal }: Demo): Promise<TrainingResult> {
  const workDir = path.join(outDir, "train");
  const training = await openTraining({ config, workDir, existing: "replace", signal });
  const { epochs } = config.training;
  let progress: ReturnType<typeof createProgress> | undefined;
  try {
    const result = await training.trainer.run({
      signal,
      onEvent: (event) => {
        if (event.kind === "step") {
          const total = epochs * event.batches;
          progress ??= createProgress("training", total, { unit: "steps" });
          const note = `epoch ${event.epoch + 1}/${epochs}  loss ${event.loss.toFixed(3)}`;
          progress.update(event.epoch * event.batches + event.batch, note);
        } else if (event.kind === "epoch" && event.record.validation) {
          const { miou } = event.record.validation;
          progress?.log(`epoch ${event.record.epoch + 1}: validation mIoU ${miou?.toFixed(3)}`);
        }
      },
    });
    progress?.done();
    return result;
  } finally {
    await training.close();
  }
}

/** Evaluates with the clips' own sounds and with swapped ones. */
async function evaluateRun(
  { config, outDir, signal }: Demo,
  predictor: LoadedPredictor,
  options: {
    readonly checkpoint: string;
    readonly report: RunEvaluationOptions["report"];
  },
): Promise<readonly [own: EvaluationResult["summary"], swapped: EvaluationResult["summary"]]> {
  const { root, imageSize, frameCount, batchSize } = config.data;
  const dataset = await openDataset({ task: "s4", root, split: "test", imageSize, frameCount });
  const sounds = ["own", "swapped"] as const;
  const progress = createProgress("evaluating", sounds.length * dataset.entries.length, { unit: "clips" });
  const { results } = await runEvaluation(predictor, dataset, {
    batchSize,
    outDir: path.join(outDir, "eval"),
    context: { checkpoint: options.checkpoint, data: root, started: new Date().toISOString() },
    sounds,
    seed: config.training.seed,
    report: options.report,
    onProgress: ({ done, sound }) => progress.update(done, `${sound} sound`),
    signal,
  });
  progress.done();
  const [own, swapped] = results.map(({ result }) => result.summary);
  if (own === undefined || swapped === undefined) throw new Error("demo: a result is missing");
  return [own, swapped];
}

interface Segmented {
  readonly video: string;
  readonly model: ShippedModel;
  /** Below the demo's folder. */
  readonly folder: string;
}

/** Segments a video; returns the path of the overlay. */
async function segment(
  { outDir, signal }: Demo,
  predictor: LoadedPredictor,
  { video, model, folder }: Segmented,
): Promise<string> {
  const progress = createProgress(`segmenting ${path.basename(video)}`, undefined, { unit: "s" });
  const target = path.join(outDir, folder);
  const summary = await writeSegmentation(video, predictor, {
    outDir: target,
    modelDescription: model.description,
    signal,
    onProgress: ({ done }) => progress.update(done),
  });
  progress.done();
  print(describeSegments(video, summary, segmentFiles({ overlay: true })));
  return path.join(target, "overlay.mp4");
}

/** The natural model on photographs: the video, or the clip that comes with the model. */
async function segmentNatural(run: Demo, video: string = NATURAL_EXAMPLE): Promise<string> {
  print(`model: ${NATURAL_MODEL.description}`);
  const predictor = await openPredictor({ checkpoint: NATURAL_MODEL.file, signal: run.signal });
  try {
    return await segment(run, predictor, { video, model: NATURAL_MODEL, folder: "natural" });
  } finally {
    await predictor.close();
  }
}
