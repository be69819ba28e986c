/** What `avseg segment` tells while it runs: lines for people, or JSON for programs. */
import path from "node:path";
import type { Predictor } from "../inference/predictor.js";
import type { VideoInfo } from "../media/video.js";
import type { Progress } from "../progress.js";
import { segmentationCost } from "../segment/cost.js";
import type { SegmentationSummary, WriteSegmentationOptions } from "../segment/node/write-segmentation.js";
import { print, printJsonLine } from "./print.js";
import { createProgress, formatDuration, type ProgressDisplay } from "./progress.js";
import { writeError } from "./run.js";

/** What more than one mask per second costs. */
export interface RateCost {
  readonly rate: number;
  readonly model: Pick<Predictor, "frameCount">;
  readonly secondsPerRun: number;
}

/** Takes what happens. */
export interface SegmentReport {
  model(description: string): void;
  /** A video is about to be segmented; `cost` where it differs from the usual. */
  start(video: string, info: VideoInfo, cost: RateCost | undefined): void;
  progress(video: string, done: Progress): void;
  done(video: string, summary: SegmentationSummary): void;
  failed(video: string, message: string): void;
}

/** Lines for people: results on stdout, progress and errors on stderr. */
export function textReport({ files }: { readonly files: string }): SegmentReport {
  let progress: ProgressDisplay | undefined;
  return {
    model: (description) => print(`model: ${description}`),
    start(video, { durationSeconds }, cost) {
      progress = undefined;
      if (cost && durationSeconds !== undefined) print(`${video}: ${describeCost(durationSeconds, cost)}`);
    },
    progress(video, { done, total }) {
      progress ??= createProgress(path.basename(video), total && Math.ceil(total), { unit: "s of video" });
      progress.update(Math.round(done * 10) / 10);
    },
    done(video, summary) {
      progress?.done();
      print(describeSegments(video, summary, files));
    },
    failed: (_, message) => writeError(message),
  };
}

/** What was found in a video, what the user should know of it, and where the files are. */
export function describeSegments(
  video: string,
  { outDir, seconds, soundingSeconds, notes }: SegmentationSummary,
  files: string,
): string[] {
  return [
    `${video}: something sounds in ${soundingSeconds} of ${seconds} seconds`,
    ...notes.map((note) => `  note: ${note}`),
    `  ${files} in ${outDir}`,
  ];
}

/** The files that a video gets, as a list in words. */
export function segmentFiles({
  overlay,
  cutout,
  format,
}: Pick<WriteSegmentationOptions, "overlay" | "cutout" | "format">): string {
  const files = ["segments.json", "segments.csv", "segments.vtt"];
  if (format !== "none") files.unshift(format === "rle" ? "masks.json" : "masks/");
  if (cutout) files.unshift(`cutout.${cutout}`);
  if (overlay) files.unshift("overlay.mp4");
  return `${files.slice(0, -1).join(", ")} and ${files.at(-1)}`;
}

/** One line of JSON on stdout per event: `model`, `start`, `progress`, `done`, `error`. */
export function jsonReport(): SegmentReport {
  return {
    model: (description) => printJsonLine({ event: "model", description }),
    start(video, { durationSeconds = null, width, height }, cost) {
      const work = cost && durationSeconds !== null ? costOf(durationSeconds, cost) : {};
      printJsonLine({ event: "start", video, durationSeconds, width, height, ...work });
    },
    progress: (video, { done, total = null }) => printJsonLine({ event: "progress", video, done, total }),
    done: (video, { info: _, ...summary }) => printJsonLine({ event: "done", video, ...summary }),
    failed: (video, message) =>
      printJsonLine({ event: "error", video, message: message.replace(/^avseg: /, "").trimEnd() }),
  };
}

function costOf(durationSeconds: number, { rate, model, secondsPerRun }: RateCost) {
  const { predictions, runs } = segmentationCost(durationSeconds, model, rate);
  const usualRuns = segmentationCost(durationSeconds, model).runs;
  return { predictions, runs, usualRuns, modelSeconds: Math.round(runs * secondsPerRun * 10) / 10 };
}

function describeCost(durationSeconds: number, cost: RateCost): string {
  const { predictions, runs, usualRuns, modelSeconds } = costOf(durationSeconds, cost);
  const time = formatDuration(modelSeconds);
  return `${predictions} predicted masks, ${runs} runs of the model instead of ${usualRuns}, about ${time} of model time`;
}
