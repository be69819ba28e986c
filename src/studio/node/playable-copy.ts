/** A copy of a video that every browser plays, for videos that it cannot decode. */
import { inputArguments, startTool } from "../../media/node/media-tool.js";
import { probeVideo } from "../../media/node/probe-video.js";
import type { Progress } from "../../progress.js";

/** Options of `writePlayableCopy`. */
export interface PlayableCopyOptions {
  readonly signal: AbortSignal;
  /** In seconds of the video. */
  readonly onProgress: (progress: Progress) => void;
}

/**
 * Writes a video as MP4 (H.264, AAC) with the same times and, but for one pixel where it is odd, the same size. Throws
 * `MediaError` for a file that ffmpeg cannot decode, `OutputError`, and the signal's reason.
 */
export async function writePlayableCopy(
  source: string,
  target: string,
  { signal, onProgress }: PlayableCopyOptions,
): Promise<void> {
  const { stream, audioTrack, durationSeconds: total } = await probeVideo(source, { signal });
  const args = [
    ...["-v", "error", "-nostdin", ...inputArguments(source), "-map", `0:${stream}`],
    ...(audioTrack ? ["-map", `0:${audioTrack.stream}`, "-c:a", "aac", "-b:a", "160k"] : []),
    ...["-vf", "scale=trunc(iw/2)*2:trunc(ih/2)*2,setsar=1", "-pix_fmt", "yuv420p"],
    ...["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-fps_mode", "vfr"],
    ...["-movflags", "+faststart", "-progress", "pipe:1", "-y", "-f", "mp4", `file:${target}`],
  ];
  const tool = startTool("ffmpeg", args, { source, output: target, signal });
  try {
    for await (const piece of tool.output()) {
      const microseconds = [...String(piece).matchAll(/out_time_us=(\d+)/g)].at(-1)?.[1];
      if (microseconds !== undefined) onProgress({ done: Number(microseconds) / 1e6, total });
    }
    await tool.finished();
  } finally {
    await tool.stop();
  }
}
