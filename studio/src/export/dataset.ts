/** Corrected masks as clips of AVSBench: MS3, or AVSS where a model tells classes apart. */
import { maskPicture } from "avseg/studio";
import { encodeWav, type ImageTensor, resizeBilinear, VGGISH_RATE_HZ } from "avseg/web";
import { BlobSource, CanvasSink, Input } from "mediabunny";
import { type LabelMap, scaleLabels } from "../masks/labels";
import { decodeSound } from "../media/decode-sound";
import { fileFormats } from "../media/probe";
import { plainStem } from "./names";
import { encodePng } from "./png";

/** Side of the frames and masks of AVSBench in pixels. */
const side = 224;

/** Five seconds of a video with their masks. */
export interface CorrectedClip {
  readonly start: number;
  readonly times: readonly number[];
  readonly masks: readonly LabelMap[];
}

/** What becomes a dataset. */
export interface DatasetRequest {
  readonly file: File;
  readonly clips: readonly CorrectedClip[];
  /** Names of the labels by index. More than two make a dataset of AVSS. */
  readonly labelNames: readonly string[];
  /** Whether the last clip of several is for validation. A single clip is for training. */
  readonly holdsOut: boolean;
}

/** Takes the files of a dataset, by paths with `/`. */
export type AddFile = (name: string, content: Uint8Array<ArrayBuffer> | string) => Promise<void>;

/** A clip, ready to be written. */
interface ReadyClip {
  /** Unique in the dataset. */
  readonly id: string;
  readonly split: "train" | "val";
  readonly pictures: readonly ImageTensor[];
  /** At the dataset's size. */
  readonly masks: readonly LabelMap[];
  readonly wav: Uint8Array<ArrayBuffer>;
}

/** Gives every file of the dataset to `add`. */
export async function writeDataset(request: DatasetRequest, add: AddFile): Promise<void> {
  const { file, clips, labelNames, holdsOut } = request;
  const sound = await decodeSound(file, file.name);
  const layout = labelNames.length > 2 ? avssLayout(labelNames, add) : ms3Layout(labelNames, add);
  for (const [i, clip] of clips.entries()) {
    const pictures = await picturesAt(file, clip.times);
    if (pictures.length < clip.times.length) {
      throw new Error(`${file.name}: second ${clip.start + pictures.length} could not be decoded`);
    }
    const from = clip.start * VGGISH_RATE_HZ;
    const samples = new Float32Array(clip.masks.length * VGGISH_RATE_HZ);
    samples.set(sound.subarray(from, from + samples.length));
    await layout.add({
      id: `${plainStem(file.name)}_${clip.start}`,
      split: holdsOut && clips.length > 1 && i === clips.length - 1 ? "val" : "train",
      pictures,
      masks: clip.masks.map((mask) => scaleLabels(mask, { width: side, height: side })),
      wav: new Uint8Array(encodeWav({ sampleRateHz: VGGISH_RATE_HZ, channels: [samples] })),
    });
  }
  await layout.finish();
}

/** How a task of AVSBench lays out its files. */
interface Layout {
  add(clip: ReadyClip): Promise<void>;
  finish(): Promise<void>;
}

/** Frames, masks with 255 where something sounds, and WAV files. */
function ms3Layout(labelNames: readonly string[], add: AddFile): Layout {
  const rows = ["name,split"];
  const data = "Multi-sources/ms3_data";
  return {
    async add({ id, split, pictures, masks, wav }) {
      rows.push(`${id},${split}`);
      for (const [i, picture] of pictures.entries()) {
        await add(`${data}/visual_frames/${id}/${id}.mp4_${i + 1}.png`, encodePng(picture));
      }
      for (const [i, mask] of masks.entries()) {
        await add(`${data}/gt_masks/${split}/${id}/${id}_${i + 1}.png`, labelPng(mask, labelNames));
      }
      await add(`${data}/audio_wav/${split}/${id}.wav`, wav);
    },
    finish: () => add("Multi-sources/ms3_meta_data.csv", `${rows.join("\n")}\n`),
  };
}

/** Clips of the subset `v1m`: five frames as JPEG, masks in the classes' colors, and the names of the classes. */
function avssLayout(labelNames: readonly string[], add: AddFile): Layout {
  const rows = ["vid,uid,s_min,s_sec,a_obj,split,label"];
  return {
    async add({ id, split, pictures, masks, wav }) {
      const folder = `AVSS/v1m/${id}`;
      const present = new Set(masks.flatMap(({ labels }) => [...new Set(labels)]));
      const names = [...present].flatMap((label) => (label > 0 ? (labelNames[label] ?? []) : []));
      rows.push(
        [id, id, 0, 0, names.map((name) => name.replace(/[",\n_]/g, "-")).join("_"), split, "v1m"].join(),
      );
      for (const [i, picture] of pictures.entries())
        await add(`${folder}/frames/${i}.jpg`, await jpeg(picture));
      for (const [i, mask] of masks.entries()) {
        await add(`${folder}/labels_rgb/${i}.png`, labelPng(mask, labelNames));
      }
      await add(`${folder}/audio.wav`, wav);
    },
    async finish() {
      await add("AVSS/metadata.csv", `${rows.join("\n")}\n`);
      await add(
        "AVSS/label2idx.json",
        `${JSON.stringify(Object.fromEntries(labelNames.map((n, i) => [n, i])))}\n`,
      );
    },
  };
}

/** Labels as the picture that datasets keep of them. */
function labelPng(map: LabelMap, labelNames: readonly string[]): Uint8Array<ArrayBuffer> {
  return encodePng(maskPicture({ ...map, labelNames, regions: [] }));
}

async function jpeg({ shape: [height = 0, width = 0], data }: ImageTensor): Promise<Uint8Array<ArrayBuffer>> {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    image.data.set(data.subarray(3 * i, 3 * i + 3), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  const blob = await canvas.convertToBlob({ type: "image/jpeg", quality: 0.95 });
  return new Uint8Array(await blob.arrayBuffer());
}

/** Frames at the dataset's size; fewer than `times` where decoding ends early. */
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
