/** The video with its masks as a new video, frame by frame. */
import { labelNames } from "avseg/studio";
import {
  BlobSource,
  Conversion,
  canEncodeVideo,
  Input,
  Mp4OutputFormat,
  Output,
  StreamTarget,
  type StreamTargetChunk,
  type VideoSample,
  WebMOutputFormat,
} from "mediabunny";
import type { Work } from "../engine/messages";
import { Composer } from "../masks/compose";
import { within } from "../masks/labels";
import { maskAt } from "../masks/moment";
import { fileFormats } from "../media/probe";
import { stemOf } from "./names";
import { createOutputFile } from "./output-file";
import type { ExportRequest } from "./requests";

/** Masks are drawn with at most this longer side. */
const maskSide = 960;

/** Draws every frame as the player shows it. */
export async function exportVideo(
  { what, file, facts, model, steps, look, controls }: ExportRequest,
  { signal, onProgress }: Work,
): Promise<File> {
  const alpha = what === "cutout";
  // Codecs with subsampled colors need even sizes.
  const width = Math.max(2, facts.width - (facts.width % 2));
  const height = Math.max(2, facts.height - (facts.height % 2));
  const mp4 = !alpha && (await canEncodeVideo("avc", { width, height }));
  const suffix = alpha ? "cut-out" : "overlay";
  const name = `${stemOf(file.name)}-${suffix}.${mp4 ? "mp4" : "webm"}`;
  const out = await createOutputFile(name);
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const writable = new WritableStream<StreamTargetChunk>({
    write: ({ data, position }) => out.write(data, position),
  });
  const output = new Output({
    format: mp4 ? new Mp4OutputFormat({ fastStart: false }) : new WebMOutputFormat(),
    target: new StreamTarget(writable, { chunked: true }),
  });
  const composer = new Composer();
  const [frame, picture] = [new OffscreenCanvas(width, height), new OffscreenCanvas(width, height)];
  const [frameContext, context] = [frame.getContext("2d"), picture.getContext("2d")];
  if (!frameContext || !context) throw new Error("the browser gives no canvas to draw frames on");
  const size = { ...within(maskSide, width, height), classes: labelNames(model.classes) };
  const shown = alpha ? { ...look, id: "cutout" as const } : look;
  const process = (sample: VideoSample): OffscreenCanvas => {
    sample.draw(frameContext, 0, 0, width, height);
    composer.draw(context, frame, { mask: maskAt(steps, sample.timestamp, { size, controls }), look: shown });
    return picture;
  };
  const end = (steps.at(-1)?.index ?? 0) + 1;
  const conversion = await Conversion.init({
    input,
    output,
    // Where a slice was segmented, the slice is exported.
    trim: {
      start: 0,
      end: Math.min(facts.durationSeconds + 1, end < facts.durationSeconds - 1 ? end : Number.MAX_VALUE),
    },
    video: {
      codec: mp4 ? "avc" : "vp9",
      bitrate: Math.max(2e6, width * height * Math.min(60, facts.frameRate) * 0.12),
      alpha: alpha ? "keep" : "discard",
      forceTranscode: true,
      process,
      processedWidth: width,
      processedHeight: height,
    },
    showWarnings: false,
  });
  if (!conversion.isValid) {
    await out.discard();
    const why = conversion.discardedTracks.map(({ track, reason }) => `${track.type}: ${reason}`).join(", ");
    throw new Error(`This browser cannot encode the video (${why}). Export masks, or use avseg segment.`);
  }
  conversion.onProgress = (done) => onProgress?.(done, 1);
  const cancel = (): void => void conversion.cancel();
  signal?.addEventListener("abort", cancel);
  try {
    signal?.throwIfAborted();
    await conversion.execute();
    return await out.finish(mp4 ? "video/mp4" : "video/webm");
  } catch (error) {
    await out.discard().catch(() => undefined);
    throw error;
  } finally {
    signal?.removeEventListener("abort", cancel);
  }
}
