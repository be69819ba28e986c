/** Writes the clips of one video: frames, masks and sounds. */
import path from "node:path";
import { DatasetError } from "../../errors.js";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { encodeFrame, encodePng } from "../../media/node/image-file.js";
import { readFrames, readMonoSound } from "../../media/node/read-video.js";
import { labelPicture } from "../../media/painting.js";
import { resizeNearest } from "../../media/resize.js";
import { encodeWav } from "../../media/wav.js";
import { writeFileAtomic } from "../../node/files.js";
import type { ClipFiles } from "../avsbench/layout.js";
import { type MaskMeaning, readMask } from "./masks.js";
import { type ClipWindow, clipSteps, type LabeledVideo } from "./scan.js";

/** A clip to write: where it comes from, and the files that it becomes. */
export interface PlannedClip {
  readonly window: ClipWindow;
  readonly files: ClipFiles;
}

/** How clips are written. */
export interface WriteClipsOptions extends MaskMeaning {
  /** The task's folder. */
  readonly folder: string;
  /** Height and width of frames and masks. */
  readonly imageSize: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the clips of `video` in one pass over its frames and one over its sound. Throws `DatasetError` when the video
 * ends before its masks, `MediaError` when it cannot be decoded, `OutputError`, and the signal's reason.
 */
export async function writeClips(
  video: LabeledVideo,
  clips: readonly PlannedClip[],
  options: WriteClipsOptions,
): Promise<void> {
  if (clips.length === 0) return;
  await writePictures(video, clips, options);
  await writeSounds(video, clips, options);
}

/** The second in which the last clip ends. */
function endOf(clips: readonly PlannedClip[]): number {
  return Math.max(...clips.map(({ window }) => window.start + clipSteps));
}

async function writePictures(
  { info, masks }: LabeledVideo,
  clips: readonly PlannedClip[],
  { folder, imageSize: side, signal, ...meaning }: WriteClipsOptions,
): Promise<void> {
  const end = endOf(clips);
  let decoded = 0;
  for await (const { index, rgb } of readFrames(info, { width: side, height: side, signal })) {
    decoded = index + 1;
    if (index >= end) break;
    const clip = clips.find(({ window: { start } }) => index >= start && index < start + clipSteps);
    if (clip === undefined) continue;
    const t = index - clip.window.start;
    const frameFile = clip.files.frames[t];
    if (frameFile !== undefined) {
      const frame = await encodeFrame(frameFile, { dtype: "u8", shape: [side, side, 3], data: rgb });
      await writeFileAtomic(path.join(folder, frameFile), frame, { signal });
    }
    const [maskFile, source] = [clip.files.masks[t], masks.get(index)];
    if (maskFile === undefined || source === undefined) continue;
    const labels = resizeNearest(await readMask({ file: source, info }, meaning), side, side);
    const png = await encodePng(labelPicture(labels, meaning.task === "avss"));
    await writeFileAtomic(path.join(folder, maskFile), png, { signal });
  }
  if (decoded >= end) return;
  throw new DatasetError(`${info.path}: masks reach second ${end}, but the video has only ${decoded} s`, {
    hint: "Remove the masks beyond the video's end, or cut the video again.",
  });
}

async function writeSounds(
  { info }: LabeledVideo,
  clips: readonly PlannedClip[],
  { folder, signal }: WriteClipsOptions,
): Promise<void> {
  const end = endOf(clips) * VGGISH_RATE_HZ;
  const sounds = clips.map(({ window, files }) => ({
    files,
    start: window.start * VGGISH_RATE_HZ,
    samples: new Float32Array(clipSteps * VGGISH_RATE_HZ),
  }));
  let position = 0;
  for await (const piece of readMonoSound(info, { sampleRateHz: VGGISH_RATE_HZ, signal })) {
    for (const { start, samples } of sounds) copyPart(samples, piece, position - start);
    position += piece.length;
    if (position >= end) break;
  }
  for (const { files, samples } of sounds) {
    const wav = encodeWav({ sampleRateHz: VGGISH_RATE_HZ, channels: [samples] });
    await writeFileAtomic(path.join(folder, files.wav), wav, { signal });
  }
}

/** Copies the part of `piece`, placed at `offset` in `target`, that lies within `target`. */
function copyPart(target: Float32Array, piece: Float32Array, offset: number): void {
  const from = Math.max(0, -offset);
  const to = Math.min(piece.length, target.length - offset);
  if (from < to) target.set(piece.subarray(from, to), offset + from);
}
