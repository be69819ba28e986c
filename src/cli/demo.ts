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
import type { Report, ReportTile } from "../report/report.js";
import { runEvaluation } from "../report/run-evaluation.js";
import {
  DEMO_MODEL,
  NATURAL_CLIPS,
  NATURAL_EXAMPLE,
  NATURAL_MODEL,
  type ShippedModel,
} from "../segment/node/shipped-models.js";
import { writeSegmentation } from "../segment/node/write-segmentation.js";
import { refinedPredictor } from "../segment/refined-predictor.js";
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
    const { own, swapped, report } = await evaluate(run, predictor, {
      data: dataRoot,
      checkpoint,
      folder: "eval",
      lead:
        "A Messenger Block after each stage of a small frozen PVTv2, and a light decoder, trained from scratch " +
        `on ${counts.train} generated clips with one labeled frame each. Several objects are in view; one sounds.`,
      tiles: () => [
        { label: "Time", value: formatDuration(seconds()), note: "data, training, evaluation, video" },
      ],
      charts: trainingCharts({ epochs: training.history, bestEpoch: training.best?.epoch }),
    });
    const natural = await showNatural(run, video);
    const result = {
      miou: own.miou,
      fscore: own.fscore,
      swappedMiou: swapped.miou,
      naturalMiou: natural.own.miou,
      naturalSwappedMiou: natural.swapped.miou,
      seconds: Math.round(seconds() * 10) / 10,
    };
    await writeFileAtomic(path.join(out, "result.json"), `${JSON.stringify(result, null, 2)}\n`);
    print([
      `test mIoU ${own.miou.toFixed(3)}, F ${own.fscore.toFixed(3)}; with swapped sounds mIoU ${swapped.miou.toFixed(3)}`,
      `natural model, on ${natural.clips} composed test clips: mIoU ${natural.own.miou.toFixed(3)}; swapped ${natural.swapped.miou.toFixed(3)}`,
      `reports:  ${report}`,
      `          ${natural.report} (the natural model, with what it gets wrong)`,
      `overlays: ${overlay}`,
      `          ${natural.overlay} (the natural model)`,
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

/** What is evaluated, and what its report says. */
interface Evaluated {
  /** Root of the dataset. */
  readonly data: string;
  readonly checkpoint: string;
  /** Below the demo's folder. */
  readonly folder: string;
  readonly lead: string;
  /** Shown after the metrics. */
  readonly tiles?: (() => readonly ReportTile[]) | undefined;
  readonly charts?: Report["charts"] | undefined;
}

/** The metrics of an evaluation. */
interface Metrics {
  readonly own: EvaluationResult["summary"];
  readonly swapped: EvaluationResult["summary"];
  readonly clips: number;
  /** The report's path. */
  readonly report: string;
}

/** Evaluates test clips with their own sounds and with swapped ones. */
async function evaluate(
  { config, outDir, signal }: Demo,
  predictor: LoadedPredictor,
  { data, checkpoint, folder, lead, tiles, charts = [] }: Evaluated,
): Promise<Metrics> {
  const { imageSize, frameCount, soundForm } = predictor;
  const waves = soundForm === "wave";
  const dataset = await openDataset({ task: "s4", root: data, split: "test", imageSize, frameCount, waves });
  const sounds = ["own", "swapped"] as const;
  const clips = dataset.entries.length;
  const progress = createProgress("evaluating", sounds.length * clips, { unit: "clips" });
  const target = path.join(outDir, folder);
  const { results } = await runEvaluation(predictor, dataset, {
    batchSize: config.data.batchSize,
    outDir: target,
    context: { checkpoint, data, started: new Date().toISOString() },
    sounds,
    seed: config.training.seed,
    report: (parts) => ({
      title: "avseg demo",
      lead,
      tiles: [
        ...parts.slice(1).map(({ result: { summary } }) => ({
          label: "mIoU, sounds swapped",
          value: summary.miou.toFixed(3),
          note: "lower is better here",
        })),
        ...(tiles?.() ?? []),
      ],
      charts,
    }),
    onProgress: ({ done, sound }) => progress.update(done, `${sound} sound`),
    signal,
  });
  progress.done();
  const [own, swapped] = results.map(({ result }) => result.summary);
  if (own === undefined || swapped === undefined) throw new Error("demo: a result is missing");
  return { own, swapped, clips, report: path.join(target, "report.html") };
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

/** The natural model on the test clips of PhotoSounds that come with it, and on the video, or else an example. */
async function showNatural(
  run: Demo,
  video: string = NATURAL_EXAMPLE,
): Promise<Metrics & { readonly overlay: string }> {
  const { file, description } = NATURAL_MODEL;
  print(`model: ${description}`);
  const predictor = await openPredictor({ checkpoint: file, signal: run.signal });
  try {
    const metrics = await evaluate(run, refinedPredictor(predictor), {
      data: NATURAL_CLIPS,
      checkpoint: file,
      folder: path.join("natural", "eval"),
      lead:
        "The natural model on the first test clips of PhotoSounds that may be passed on: photographs and recordings that it " +
        "has not seen, composed. Masks are as avseg segment writes them. They show what it gets right and what it gets wrong, and are too few for a metric; " +
        "npm run photosounds measures all of them.",
    });
    const overlay = await segment(run, predictor, { video, model: NATURAL_MODEL, folder: "natural" });
    return { ...metrics, overlay };
  } finally {
    await predictor.close();
  }
}
