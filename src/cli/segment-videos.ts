/** What `avseg segment` does. Apart from its options, because its modules take longer to load than ffprobe takes to run. */
import path from "node:path";
import { measureRun } from "../inference/measure-run.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { beginOpening, type OpeningPredictor } from "../inference/node/open-predictor.js";
import type { LoadedPredictor } from "../inference/predictor.js";
import type { Look } from "../media/looks.js";
import type { CutoutFormat } from "../media/node/overlay-encoder.js";
import { probeVideo } from "../media/node/probe-video.js";
import type { VideoInfo, VideoSlice } from "../media/video.js";
import type { ProviderChoice } from "../runtime/providers.js";
import { cocoRle } from "../segment/coco-rle.js";
import { describeModel } from "../segment/node/describe-model.js";
import { segmentVideo } from "../segment/node/segment-video.js";
import { NATURAL_MODEL } from "../segment/node/shipped-models.js";
import { writeSegmentation } from "../segment/node/write-segmentation.js";
import { type MaskFormat, recordOf } from "../segment/segments-json.js";
import type { SegmentedFrame } from "../segment/step-stream.js";
import { commandCache, modelOptions } from "./configured-model.js";
import { printJsonLine } from "./print.js";
import { type ChosenModel, chosenModel, type ModelChoice } from "./published-models.js";
import { describeFailure, interruptSignal } from "./run.js";
import { jsonReport, type SegmentReport, segmentFiles, textReport } from "./segment-report.js";
import { stdio, withStdinFile } from "./stdin-file.js";

/** The options of `avseg segment`. */
export interface SegmentCommandOptions extends ModelChoice {
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

/** Segments videos one after another. `firstReport` is what `videoReport` says of the first one, if it is a file. */
export async function segmentAll(
  videos: readonly string[],
  options: SegmentCommandOptions,
  firstReport: Promise<string> | undefined,
): Promise<void> {
  const chosen = await chosenModel(options);
  const signal = interruptSignal("Videos that were finished are kept.");
  const [first = stdio] = videos;
  const probed = firstReport && probeVideo(first, { signal, report: firstReport });
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
  { config, audioEncoder, provider, cache }: SegmentCommandOptions,
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
  readonly options: SegmentCommandOptions;
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
