/** Writes the files of a generated clip in AVSBench's layout. */
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { encodeFrame, encodePng } from "../../media/node/image-file.js";
import { labelPicture } from "../../media/painting.js";
import { encodeWav } from "../../media/wav.js";
import type { TensorOf } from "../../tensor.js";
import type { ClipFiles } from "../avsbench/layout.js";

/** The content of a clip of T steps. */
export interface ClipContent {
  /** `u8[T,H,W,3]` */
  readonly frames: TensorOf<"u8">;
  /** `u8[T,H,W]` */
  readonly masks: TensorOf<"u8">;
  /** Whether masks are written in the colors of their classes (AVSS), or as black and white. */
  readonly semantic: boolean;
  readonly samples: Float32Array<ArrayBuffer>;
  readonly sampleRateHz: number;
}

/** Writes a file below a folder that may not exist yet. */
export async function saveBelow(folder: string, file: string, bytes: Uint8Array): Promise<void> {
  const target = path.join(folder, file);
  await mkdir(path.dirname(target), { recursive: true });
  await writeFile(target, bytes);
}

/** Writes frames, masks (those of the layout) and sound. */
export async function writeClipFiles(folder: string, files: ClipFiles, content: ClipContent): Promise<void> {
  const [, height = 0, width = 0] = content.masks.shape;
  const pixels = height * width;
  const jobs = files.frames.map(async (frame, t) => {
    const rgb = content.frames.data.slice(3 * t * pixels, 3 * (t + 1) * pixels);
    const image = { dtype: "u8", shape: [height, width, 3], data: rgb } as const;
    await saveBelow(folder, frame, await encodeFrame(frame, image));
    const maskFile = files.masks[t];
    if (maskFile === undefined) return;
    const mask = { shape: [height, width], data: content.masks.data.slice(t * pixels, (t + 1) * pixels) };
    const picture = labelPicture(mask, content.semantic);
    await saveBelow(folder, maskFile, await encodePng(picture, { compressionLevel: 1 }));
  });
  const wav = encodeWav({ sampleRateHz: content.sampleRateHz, channels: [content.samples] });
  await Promise.all([...jobs, saveBelow(folder, files.wav, wav)]);
}
