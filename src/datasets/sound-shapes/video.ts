/** SoundShapes clips as video files. */
import { rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { startTool } from "../../media/node/media-tool.js";
import { encodeWav } from "../../media/wav.js";
import { ensureWritableDir, temporaryPath } from "../../node/files.js";
import { asOutputError } from "../../node/system-error.js";
import { type ClipSpec, defaultFramesPerSecond } from "./plan.js";
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
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<void> {
  const size = spec.imageSize;
  if (size % 2 !== 0)
    throw new RangeError(`sound shapes: expected an even image size for a video, got ${size}`);
  const folder = path.dirname(target);
  await ensureWritableDir(folder);
  const temporary = temporaryPath(folder);
  const wav = `${temporary}.wav`;
  const mp4 = `${temporary}.mp4`;
  try {
    await writeFile(wav, encodeWav({ sampleRateHz, channels: [renderClip(spec).samples] }));
    const args = [
      ...["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", `${size}x${size}`],
      ...["-framerate", String(spec.framesPerSecond ?? defaultFramesPerSecond), "-i", "pipe:0"],
      ...["-i", `file:${path.resolve(wav)}`, "-map", "0:v", "-map", "1:a"],
      ...["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"],
      ...["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart", "-y", `file:${path.resolve(mp4)}`],
    ];
    const tool = startTool("ffmpeg", args, { source: wav, output: target, signal });
    try {
      for (const { image } of renderVideoFrames(spec)) {
        if (!(await tool.write(image))) break;
      }
      await tool.finished();
    } finally {
      await tool.stop();
    }
    await rename(mp4, target);
  } catch (error) {
    throw asOutputError(error, target);
  } finally {
    await rm(wav, { force: true });
    await rm(mp4, { force: true });
  }
}
