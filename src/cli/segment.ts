/** `avseg segment`: masks and overlays of any videos. */
import path from "node:path";
import { Command, Option } from "commander";
import { findWeightFile } from "../inference/node/model-files.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import type { LoadedPredictor, Predictor } from "../inference/predictor.js";
import { type Look, looks } from "../media/node/overlay-encoder.js";
import { MAX_RATE } from "../media/step-times.js";
import type { RuntimeOptions } from "../runtime/runtime.js";
import { measureRun, segmentationCost } from "../segment/cost.js";
import { DEMO_MODEL, DEMO_MODEL_DESCRIPTION } from "../segment/node/demo-model.js";
import { describeModel } from "../segment/node/describe-model.js";
import { type SegmentationSummary, writeSegmentation } from "../segment/node/write-segmentation.js";
import { audioEncoderOption, modelOptions } from "./configured-model.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress, formatDuration, type ProgressDisplay } from "./progress.js";
import {
  type ChosenModel,
  chosenModel,
  type ModelChoice,
  modelNameOption,
  yesOption,
} from "./published-models.js";
import { describeFailure, interruptSignal, writeError } from "./run.js";

interface Options extends ModelChoice {
  readonly config?: string | undefined;
  readonly audioEncoder?: string | undefined;
  readonly out: string;
  readonly overlay: boolean;
  readonly look: Look;
  readonly rate: number;
  readonly everyFrame?: boolean | undefined;
  readonly refine: boolean;
  readonly silenceGate: boolean;
  readonly provider: NonNullable<RuntimeOptions["provider"]>;
  readonly verbose?: boolean | undefined;
}

/** The `segment` command. */
export function segmentCommand(): Command {
  return new Command("segment")
    .description("mark what is sounding in videos: masks, segments.json and an overlay video")
    .argument("<video...>", "video files of any length, size and format that ffmpeg reads")
    .option(
      "--checkpoint <file>",
      "a file of `avseg train` or `avseg export`, or a published one (default: the demo model)",
    )
    .addOption(modelNameOption())
    .addOption(yesOption())
    .option(
      "--config <file>",
      "configuration of the model, where the checkpoint does not hold its own, or moved encoders",
    )
    .addOption(audioEncoderOption())
    .option("--out <dir>", "folder for the results, one below it per video", "segments")
    .option(
      "--rate <n>",
      `masks per second, 1 to ${MAX_RATE}, each predicted by the model: the cost is proportional`,
      integer(1, MAX_RATE),
      1,
    )
    .option(
      "--every-frame",
      "write a mask for every frame: those between predictions are moved with the picture",
    )
    .option("--no-refine", "leave the edges of masks as the model predicts them, not fitted to the picture's")
    .addOption(
      new Option("--look <name>", "how the overlay shows what sounds").choices(looks).default(looks[0]),
    )
    .option("--no-overlay", "write masks and segments.json only")
    .option("--no-silence-gate", "keep what the model predicts for silent seconds (no sample above -60 dBFS)")
    .addOption(
      new Option("--provider <name>", "what runs the model").choices(["cpu", "webgpu"]).default("cpu"),
    )
    .addHelpText(
      "after",
      `
Examples:
  avseg segment holiday.mp4 --model seavs-s4
  avseg segment holiday.mp4 --rate 4 --look spotlight
  avseg segment *.mp4 --checkpoint S4_pvt.pth --out results`,
    )
    .action(segmentAll);
}

async function segmentAll(videos: string[], options: Options): Promise<void> {
  const chosen = await chosenModel(options);
  const signal = interruptSignal("Videos that were finished are kept.");
  const { predictor, description } = await openDescribed(options, chosen, signal);
  print(`model: ${description}`);
  const folders = uniqueNames(videos);
  let failed = 0;
  try {
    for (const [i, video] of videos.entries()) {
      const outDir = path.join(options.out, folders[i]!);
      try {
        const summary = await segmentOne(video, predictor, { ...options, outDir, description, signal });
        print(describeSegments(video, summary, options.overlay));
      } catch (error) {
        if (signal.aborted) throw error;
        failed++;
        writeError(describeFailure(error, options.verbose ?? false).text);
      }
    }
  } finally {
    await predictor.close();
  }
  if (failed === 0) return;
  process.exitCode = 1;
  if (videos.length > 1) process.stderr.write(`avseg: ${failed} of ${videos.length} videos failed\n`);
}

async function openDescribed(
  { config, audioEncoder, provider }: Options,
  chosen: ChosenModel | undefined,
  signal: AbortSignal,
): Promise<{ predictor: LoadedPredictor; description: string }> {
  const file = await findWeightFile(chosen?.checkpoint ?? DEMO_MODEL);
  const predictor = await openPredictor({
    checkpoint: file,
    hints: chosen?.hints,
    ...(await modelOptions({ config, audioEncoder: audioEncoder ?? chosen?.audioEncoder })),
    runtime: { provider },
    signal,
  });
  return { predictor, description: chosen ? describeModel(file, predictor) : DEMO_MODEL_DESCRIPTION };
}

async function segmentOne(
  video: string,
  predictor: LoadedPredictor,
  options: Pick<Options, "overlay" | "look" | "rate" | "everyFrame" | "refine" | "silenceGate"> & {
    outDir: string;
    description: string;
    signal: AbortSignal;
  },
): Promise<SegmentationSummary> {
  let progress: ProgressDisplay | undefined;
  const { description: modelDescription, ...settings } = options;
  const secondsPerRun = options.rate > 1 ? await measureRun(predictor) : undefined;
  const summary = await writeSegmentation(video, predictor, {
    ...settings,
    modelDescription,
    onStart: ({ durationSeconds }) => {
      if (secondsPerRun === undefined || durationSeconds === undefined) return;
      print(`${video}: ${describeCost(durationSeconds, predictor, { rate: options.rate, secondsPerRun })}`);
    },
    onProgress: ({ done, total }) => {
      progress ??= createProgress(path.basename(video), total && Math.ceil(total), { unit: "s of video" });
      progress.update(Math.round(done * 10) / 10);
    },
  });
  progress?.done();
  return summary;
}

/** A folder name per video: its name without the extension, numbered where two are alike. */
export function uniqueNames(videos: readonly string[]): string[] {
  const taken = new Set<string>();
  return videos.map((video) => {
    const stem = path.parse(path.resolve(video)).name || "video";
    let name = stem;
    // Compared without case: on some systems `A` and `a` are one folder.
    for (let n = 2; taken.has(name.toLowerCase()); n++) name = `${stem}-${n}`;
    taken.add(name.toLowerCase());
    return name;
  });
}

/** What more than one mask per second costs. */
export function describeCost(
  durationSeconds: number,
  model: Pick<Predictor, "frameCount">,
  { rate, secondsPerRun }: { readonly rate: number; readonly secondsPerRun: number },
): string {
  const { predictions, runs } = segmentationCost(durationSeconds, model, rate);
  const usual = segmentationCost(durationSeconds, model).runs;
  const time = formatDuration(runs * secondsPerRun);
  return `${predictions} predicted masks, ${runs} runs of the model instead of ${usual}, about ${time} of model time`;
}

/** What was found in a video, what the user should know of it, and where the files are. */
export function describeSegments(
  video: string,
  { outDir, seconds, soundingSeconds, notes }: SegmentationSummary,
  overlay: boolean,
): string[] {
  const made = overlay ? "overlay.mp4, masks/ and segments.json" : "masks/ and segments.json";
  return [
    `${video}: something sounds in ${soundingSeconds} of ${seconds} seconds`,
    ...notes.map((note) => `  note: ${note}`),
    `  ${made} in ${outDir}`,
  ];
}
