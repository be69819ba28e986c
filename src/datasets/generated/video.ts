/** Generated clips as video files. */
import { rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { startTool } from "../../media/node/media-tool.js";
import type { Cancellable } from "../../media/video.js";
import { encodeWav, type Sound } from "../../media/wav.js";
import { ensureWritableDir, temporaryPath } from "../../node/files.js";
import { asOutputError } from "../../node/system-error.js";

/** A video of square frames. */
export interface VideoContent extends Cancellable {
  /** Height and width in pixels, even. */
  readonly imageSize: number;
  readonly framesPerSecond: number;
  readonly sound: Sound;
  /** RGB, `u8[H,W,3]` each. */
  readonly frames: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/**
 * Writes an MP4 (H.264, AAC), under a temporary name until it is complete. Throws `RangeError` for an odd size, which
 * H.264 does not support, `OutputError` when the file cannot be written, and `MediaError` when ffmpeg is missing.
 */
export async function writeVideo(target: string, content: VideoContent): Promise<void> {
  const { imageSize: size, framesPerSecond, signal } = content;
  if (size % 2 !== 0) throw new RangeError(`expected an even image size for a video, got ${size}`);
  const folder = path.dirname(target);
  await ensureWritableDir(folder);
  const temporary = temporaryPath(folder);
  const wav = `${temporary}.wav`;
  const mp4 = `${temporary}.mp4`;
  try {
    await writeFile(wav, encodeWav(content.sound));
    const args = [
      ...["-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", `${size}x${size}`],
      ...["-framerate", String(framesPerSecond), "-i", "pipe:0"],
      ...["-i", `file:${path.resolve(wav)}`, "-map", "0:v", "-map", "1:a"],
      ...["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"],
      ...["-c:a", "aac", "-b:a", "96k", "-movflags", "+faststart", "-y", `file:${path.resolve(mp4)}`],
    ];
    const tool = startTool("ffmpeg", args, { source: wav, output: target, signal });
    try {
      for await (const image of content.frames) {
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
