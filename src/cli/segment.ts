/** `avseg segment`: masks and overlays of any videos. */
import path from "node:path";
import { Command, Option } from "commander";
import { measureRun } from "../inference/measure-run.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { beginOpening, type OpeningPredictor } from "../inference/node/open-predictor.js";
import type { LoadedPredictor } from "../inference/predictor.js";
import { type Look, looks } from "../media/looks.js";
import { type CutoutFormat, cutoutFormats, prepareEncoders } from "../media/node/overlay-encoder.js";
import { probeVideo } from "../media/node/probe-video.js";
import { MAX_RATE } from "../media/step-times.js";
import type { VideoInfo, VideoSlice } from "../media/video.js";
import type { ProviderChoice } from "../runtime/providers.js";
import { cocoRle } from "../segment/coco-rle.js";
import { describeModel } from "../segment/node/describe-model.js";
import { segmentVideo } from "../segment/node/segment-video.js";
import { NATURAL_MODEL } from "../segment/node/shipped-models.js";
import { writeSegmentation } from "../segment/node/write-segmentation.js";
import { type MaskFormat, maskFormats, recordOf } from "../segment/segments-json.js";
import type { SegmentedFrame } from "../segment/step-stream.js";
import {
  audioEncoderOption,
  commandCache,
  modelOptions,
  noCacheOption,
  providerOption,
} from "./configured-model.js";
import { integer, slice } from "./options.js";
import { printJsonLine } from "./print.js";
import {
  type ChosenModel,
  chosenModel,
  type ModelChoice,
  modelNameOption,
  yesOption,
} from "./published-models.js";
import { describeFailure, interruptSignal, UsageError } from "./run.js";
import { jsonReport, type SegmentReport, segmentFiles, textReport } from "./segment-report.js";
import { withStdinFile } from "./stdin-file.js";

/** Standard input as a video, standard output as a folder. */
const stdio = "-";

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
  readonly slice?: VideoSlice | undefined;
  readonly format: MaskFormat;
  readonly cutout?: CutoutFormat | undefined;
  readonly json?: boolean | undefined;
  readonly provider: ProviderChoice;
  readonly cache: boolean;
  readonly verbose?: boolean | undefined;
}

/** The `segment` command. */
export function segmentCommand(): Command {
  return new Command("segment")
    .description("mark what is sounding in videos: masks, segments.json and an overlay video")
    .argument(
      "<video...>",
      "video files of any length, size and format that ffmpeg reads; - is standard input",
    )
    .option(
      "--checkpoint <file>",
      "a file of `avseg train` or `avseg export`, or a published one (default: the natural model)",
    )
    .addOption(modelNameOption())
    .addOption(yesOption())
    .option(
      "--config <file>",
      "configuration of the model, where the checkpoint does not hold its own, or moved encoders",
    )
    .addOption(audioEncoderOption())
    .option(
      "--out <dir>",
      "folder for the results, one below it per video; - prints a line of JSON per mask instead",
      "segments",
    )
    .addOption(
      new Option(
        "--slice <start-end>",
        "segment a part only: seconds, M:S or H:M:S, e.g. 1:30-2:00 or 90-",
      ).argParser(slice),
    )
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
    .option("--no-overlay", "write no overlay video")
    .addOption(
      new Option(
        "--cutout [format]",
        "write a video of what sounds on a transparent ground: VP9 or ProRes 4444",
      )
        .choices(cutoutFormats)
        .preset(cutoutFormats[0]),
    )
    .addOption(
      new Option("--format <name>", "masks as PNG files, as COCO run lengths in one file, or none")
        .choices(maskFormats)
        .default(maskFormats[0]),
    )
    .option("--json", "print progress and results as lines of JSON")
    .option("--no-silence-gate", "keep what the model predicts for silent seconds (no sample above -60 dBFS)")
    .addOption(providerOption().default("cpu"))
    .addOption(noCacheOption())
    .addHelpText(
      "after",
      `
Examples:
  avseg segment holiday.mp4 --model seavs-s4
  avseg segment holiday.mp4 --rate 4 --look spotlight
  avseg segment concert.mkv --slice 1:30-2:00 --cutout --format rle
  avseg segment *.mp4 --checkpoint S4_pvt.pth --out results
  curl -s https://example.org/clip.mp4 | avseg segment - --out - | jq .objects`,
    )
    .action(segmentAll);
}

async function segmentAll(videos: string[], options: Options): Promise<void> {
  if (videos.filter((video) => video === stdio).length > 1) {
    throw new UsageError("standard input (-) is named more than once", { hint: "Name it once." });
  }
  const chosen = await chosenModel(options);
  const signal = interruptSignal("Videos that were finished are kept.");
  const [first = stdio] = videos;
  const probed = first === stdio ? undefined : probeVideo(first, { signal }); // while the model opens
  if (options.out !== stdio && (options.overlay || options.cutout)) prepareEncoders();
  probed?.catch(() => undefined); // thrown where it is awaited
  let onReading: () => void = () => undefined;
  const reading = new Promise<void>((resolve) => {
    onReading = resolve;
  });
  const { predictor, opened, description } = await openDescribed(options, chosen, { reading, signal });
  const report =
    options.json || options.out === stdio ? jsonReport() : textReport({ files: segmentFiles(options) });
  report.model(description);
  const folders = uniqueNames(videos.map((video) => (video === stdio ? "stdin" : video)));
  let measured: Promise<number> | undefined;
  const secondsPerRun = () => {
    measured ??= measureRun(predictor);
    return measured;
  };
  let failed = 0;
  try {
    for (const [i, video] of videos.entries()) {
      const outDir = path.join(options.out, folders[i]!);
      const work = {
        ...{ name: video, predictor, report, options, outDir, description, secondsPerRun, onReading, signal },
      };
      try {
        if (video === stdio) await withStdinFile(signal, (file) => segmentOne(file, work));
        else await segmentOne((i === 0 && (await probed)) || video, work);
      } catch (error) {
        onReading();
        if (signal.aborted) throw error;
        await opened; // a model that cannot be opened ends the command
        failed++;
        report.failed(video, describeFailure(error, options.verbose ?? false).text);
      }
    }
  } finally {
    onReading();
    await predictor.close();
  }
  if (failed === 0) return;
  process.exitCode = 1;
  if (videos.length > 1) process.stderr.write(`avseg: ${failed} of ${videos.length} videos failed\n`);
}

async function openDescribed(
  { config, audioEncoder, provider, cache }: Options,
  chosen: ChosenModel | undefined,
  { reading, signal }: { readonly reading: Promise<void>; readonly signal: AbortSignal },
): Promise<OpeningPredictor & { readonly description: string }> {
  const file = await findWeightFile(chosen?.checkpoint ?? NATURAL_MODEL.file);
  const opening = await beginOpening(
    {
      checkpoint: file,
      hints: chosen?.hints,
      ...(await modelOptions({ config, audioEncoder: audioEncoder ?? chosen?.audioEncoder })),
      runtime: { provider },
      cache: commandCache(cache),
      signal,
    },
    reading,
  );
  return { ...opening, description: describeModel(file, opening.predictor) };
}

/** What one video is segmented with. */
interface Work {
  /** The video as the command names it. */
  readonly name: string;
  readonly predictor: LoadedPredictor;
  readonly report: SegmentReport;
  readonly options: Options;
  readonly outDir: string;
  readonly description: string;
  /** Seconds of one run of the model, measured when it is first asked for. */
  readonly secondsPerRun: () => Promise<number>;
  /** To be called once the video is being decoded, or before the model is waited for: then the model opens. */
  readonly onReading: () => void;
  readonly signal: AbortSignal;
}

async function segmentOne(file: string | VideoInfo, work: Work): Promise<void> {
  const { name, predictor, report, options, outDir, description: modelDescription, onReading, signal } = work;
  const { rate, everyFrame, refine, silenceGate, slice, format, cutout, look, overlay } = options;
  const settings = { rate, everyFrame, refine, silenceGate, slice, signal };
  if (options.out === stdio) {
    onReading();
    const source = typeof file === "string" ? file : file.path;
    for await (const frame of segmentVideo(source, predictor, settings)) printMask(name, frame);
    return;
  }
  if (rate > 1) onReading();
  const secondsPerRun = rate > 1 ? await work.secondsPerRun() : undefined;
  const summary = await writeSegmentation(file, predictor, {
    ...settings,
    ...{ outDir, modelDescription, format, cutout, look, overlay },
    onStart: (info) => {
      onReading();
      report.start(
        name,
        info,
        secondsPerRun === undefined ? undefined : { rate, model: predictor, secondsPerRun },
      );
    },
    onProgress: (done) => report.progress(name, done),
  });
  report.done(name, summary);
}

/** A mask as one line of JSON: its record in `segments.json`, with run lengths. */
function printMask(video: string, frame: SegmentedFrame): void {
  const { mask: _, objects, ...record } = recordOf(frame, null);
  const { mask } = frame;
  printJsonLine({
    event: "mask",
    video,
    ...record,
    objects: mask.regions.map(({ index }, i) => ({ ...objects[i], segmentation: cocoRle(mask, index) })),
  });
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
