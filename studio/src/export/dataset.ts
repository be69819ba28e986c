/** Corrected masks as clips of AVSBench (MS3). */
import { encodeWav, type ImageTensor, resizeBilinear, VGGISH_RATE_HZ } from "avseg/web";
import { BlobSource, CanvasSink, Input } from "mediabunny";
import { decodeSound } from "../media/decode-sound";
import { fileFormats } from "../media/probe";
import type { Correction } from "../state/corrections";
import { createArchive } from "./archive";
import { encodePng } from "./png";

/** Side of the frames and masks of AVSBench in pixels. */
const side = 224;

/** Five seconds of a video with their masks. */
export interface CorrectedClip {
  readonly start: number;
  readonly times: readonly number[];
  readonly masks: readonly Correction[];
}

/** What becomes a dataset. */
export interface DatasetRequest {
  readonly file: File;
  readonly clips: readonly CorrectedClip[];
}

/**
 * A zip with the folder `Multi-sources`. The last clip is for validation where there are several; a single clip is for
 * training, as one clip cannot be in both splits.
 */
export async function exportDataset({ file, clips }: DatasetRequest): Promise<File> {
  const stem =
    file.name
      .replace(/\.[^.]*$/, "")
      .replace(/[^\w-]+/g, "_")
      .replace(/^_+$/, "") || "video";
  const sound = await decodeSound(file, file.name);
  const zip = await createArchive(`${stem}-corrected.zip`);
  try {
    const rows: string[] = [];
    for (const [i, clip] of clips.entries()) {
      const split = clips.length > 1 && i === clips.length - 1 ? "val" : "train";
      const pictures = await picturesAt(file, clip.times);
      const from = clip.start * VGGISH_RATE_HZ;
      const samples = new Float32Array(clip.masks.length * VGGISH_RATE_HZ);
      samples.set(sound.subarray(from, from + samples.length));
      const name = `${stem}_${clip.start}`;
      const data = "Multi-sources/ms3_data";
      rows.push(`${name},${split}`);
      for (const [k, mask] of clip.masks.entries()) {
        const picture = pictures[k];
        if (!picture) throw new Error(`${file.name}: second ${clip.start + k} could not be decoded`);
        await zip.add(`${data}/visual_frames/${name}/${name}.mp4_${k + 1}.png`, encodePng(picture));
        await zip.add(`${data}/gt_masks/${split}/${name}/${name}_${k + 1}.png`, encodePng(smallMask(mask)));
      }
      const wav = encodeWav({ sampleRateHz: VGGISH_RATE_HZ, channels: [samples] });
      await zip.add(`${data}/audio_wav/${split}/${name}.wav`, new Uint8Array(wav));
    }
    await zip.add("Multi-sources/ms3_meta_data.csv", `name,split\n${rows.join("\n")}\n`);
    return await zip.finish();
  } catch (error) {
    await zip.discard().catch(() => undefined);
    throw error;
  }
}

/** Frames at the dataset's size. */
async function picturesAt(file: File, times: readonly number[]): Promise<ImageTensor[]> {
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const track = await input.getPrimaryVideoTrack();
  if (!track) return [];
  const first = await track.getFirstTimestamp();
  const pictures: ImageTensor[] = [];
  const sink = new CanvasSink(track, { poolSize: 1 });
  for await (const found of sink.canvasesAtTimestamps(times.map((time) => Math.max(time, first)))) {
    if (!found) break;
    const { width, height } = found.canvas;
    const context = new OffscreenCanvas(width, height).getContext("2d");
    if (!context) break;
    context.drawImage(found.canvas, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const rgb = new Uint8Array(width * height * 3);
    for (let i = 0; i < width * height; i++) rgb.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
    pictures.push(resizeBilinear({ dtype: "u8", shape: [height, width, 3], data: rgb }, side, side));
  }
  return pictures;
}

/** A mask at the dataset's size: 255 where something sounds. */
function smallMask({ width, height, marked }: Correction): ImageTensor {
  const data = new Uint8Array(side * side);
  for (let y = 0; y < side; y++) {
    const row = Math.floor(((y + 0.5) * height) / side) * width;
    for (let x = 0; x < side; x++)
      data[y * side + x] = 255 * marked[row + Math.floor(((x + 0.5) * width) / side)]!;
  }
  return { dtype: "u8", shape: [side, side], data };
}
