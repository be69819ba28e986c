/** Reads the masks of one's own videos. */
import { AvsegError, DatasetError, listSome } from "../../errors.js";
import { readRgb } from "../../media/node/image-file.js";
import { type ImageTensor, imageSize } from "../../media/resize.js";
import type { VideoInfo } from "../../media/video.js";
import { classesOf, readBinary } from "../avsbench/load-clip.js";
import type { Task } from "../clip.js";
import { mapConcurrent } from "../concurrent.js";

/** What the values of a mask mean. */
export interface MaskMeaning {
  readonly task: Task;
  /** Names of the classes of AVSS without the background: the first is class 1. */
  readonly classes?: readonly string[] | undefined;
}

/** A mask file and the video whose size it must have. */
export interface MaskFile {
  readonly file: string;
  readonly info: VideoInfo;
}

/** Masks decoded at a time. */
const masksAtOnce = 4;

/** A mask at the video's size, `u8[H,W]`: 0 and 1, or class indices (AVSS). Throws `DatasetError`. */
export async function readMask({ file, info }: MaskFile, meaning: MaskMeaning): Promise<ImageTensor> {
  const mask = meaning.task === "avss" ? await readLabels(file, meaning) : await readBinary(file);
  const { width, height } = imageSize(mask);
  if (width === info.width && height === info.height) return mask;
  throw new DatasetError(
    `${file}: the mask is ${width}x${height}, expected ${info.width}x${info.height}, the displayed size of ${info.path}`,
    { hint: "Make the mask again at the video's size." },
  );
}

/**
 * A semantic mask as class indices, `u8[H,W]`. A gray image whose values are all class numbers holds those; any other
 * image holds the classes' colors, which are those of PASCAL VOC, as many annotation tools write them.
 */
async function readLabels(file: string, { classes = [] }: MaskMeaning): Promise<ImageTensor> {
  const image = await readRgb(file);
  const { data, shape } = image;
  const numbers = data.filter((_, i) => i % 3 === 0);
  const numbered = data.every((value, i) => value <= classes.length && value === numbers[Math.floor(i / 3)]);
  if (numbered) return { dtype: "u8", shape: shape.slice(0, 2), data: numbers };
  return classesOf(image, file, { classCount: classes.length + 1 });
}

/** Reads all masks, to name every bad one in a single error. Throws `DatasetError`, or the signal's reason. */
export async function checkMasks(
  files: readonly MaskFile[],
  meaning: MaskMeaning,
  signal: AbortSignal | undefined,
): Promise<void> {
  const failures = await mapConcurrent(files, masksAtOnce, async (file) => {
    signal?.throwIfAborted();
    try {
      await readMask(file, meaning);
      return [];
    } catch (error) {
      if (error instanceof AvsegError) return [error];
      throw error;
    }
  });
  const [first, ...others] = failures.flat();
  if (first === undefined) return;
  if (others.length === 0) throw first;
  const messages = [first, ...others].map(({ message }) => message);
  throw new DatasetError(
    `${messages.length} of ${files.length} masks cannot be used: ${listSome(messages, 10, "; ")}`,
    { hint: first.hint },
  );
}
