/** SoundShapes clips as video files. */
import type { Cancellable } from "../../media/video.js";
import { videoFramesPerSecond } from "../generated/schedule.js";
import { writeVideo } from "../generated/video.js";
import type { ClipSpec } from "./plan.js";
import { renderClip, renderVideoFrames } from "./render-clip.js";
import { sampleRateHz } from "./voices.js";

/**
 * Writes a clip as an MP4 (H.264, AAC), under a temporary name until it is complete. The frames of its steps are
 * those of `renderClip`, compressed. Throws `RangeError` for an odd image size, which H.264 does not support,
 * `OutputError` when the file cannot be written, and `MediaError` when ffmpeg is missing.
 */
export async function writeClipVideo(
  spec: ClipSpec,
  target: string,
  { signal }: Cancellable = {},
): Promise<void> {
  function* frames(): Generator<Uint8Array> {
    for (const { image } of renderVideoFrames(spec)) yield image;
  }
  await writeVideo(target, {
    imageSize: spec.imageSize,
    framesPerSecond: spec.framesPerSecond ?? videoFramesPerSecond,
    sound: { sampleRateHz, channels: [renderClip(spec).samples] },
    frames: frames(),
    signal,
  });
}
