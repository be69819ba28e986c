/** `avseg segment`: masks and overlays of any videos. */
import { Command, Option } from "commander";
import { looks } from "../media/looks.js";
import { cutoutFormats, prepareEncoders } from "../media/node/overlay-encoder.js";
import { videoReport } from "../media/node/video-report.js";
import { MAX_RATE } from "../media/step-times.js";
import { maskFormats } from "../segment/segments-json.js";
import {
  audioEncoderOption,
  modelNameOption,
  noCacheOption,
  providerOption,
  yesOption,
} from "./model-options.js";
import { integer, slice } from "./options.js";
import { interruptSignal, UsageError } from "./run.js";
import type { SegmentCommandOptions } from "./segment-videos.js";
import { stdio } from "./stdin-file.js";

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
    .action(startSegmenting);
}

/** Starts what needs no model, and loads the rest meanwhile. */
async function startSegmenting(videos: string[], options: SegmentCommandOptions): Promise<void> {
  if (videos.filter((video) => video === stdio).length > 1) {
    throw new UsageError("standard input (-) is named more than once", { hint: "Name it once." });
  }
  const signal = interruptSignal();
  const [first = stdio] = videos;
  const firstReport = first === stdio ? undefined : videoReport(first, { signal });
  firstReport?.catch(() => undefined); // thrown where it is awaited
  if (options.out !== stdio && (options.overlay || options.cutout)) prepareEncoders();
  const { segmentAll } = await import("./segment-videos.js");
  await segmentAll(videos, options, firstReport);
}
