/** Predicted masks as PNG files, named as published. */
import type { Clip, ClipEntry, Task } from "../datasets/clip.js";
import { encodePng } from "../media/node/image-file.js";
import { labelPicture } from "../media/painting.js";
import { type ImageTensor, resizeNearest } from "../media/resize.js";
import { writeFileAtomic } from "../node/files.js";
import { safeJoin } from "../node/paths.js";
import type { TensorOf } from "../tensor.js";

/** Size of the published AVSS masks, in pixels. */
const semanticWidth = 360;
const semanticHeight = 240;

/**
 * A function for `evaluate`'s `onMasks` that writes `<outDir>/pred_masks/<category>/<clip>/<clip>_<0-based
 * frame>.png` (no category folder in MS3): 0 and 255 in the binary tasks; in AVSS the palette's colors,
 * 360x240, padded frames left out. Throws `OutputError` when a file cannot be written or a clip's name leads
 * out of the folder.
 */
export function maskWriter(outDir: string, task: Task): (clip: Clip, masks: TensorOf<"u8">) => Promise<void> {
  return async (clip, masks) => {
    const [frames = 0, height = 0, width = 0] = masks.shape;
    const pixels = height * width;
    const writes: Promise<void>[] = [];
    for (let t = 0; t < frames; t++) {
      if (clip.frameMask.data[t] === 0) continue;
      const labels: ImageTensor = {
        dtype: "u8",
        shape: [height, width],
        data: masks.data.subarray(t * pixels, (t + 1) * pixels),
      };
      const file = predictedMaskFile(outDir, clip, t);
      const image = labelPicture(task === "avss" ? semanticSize(labels) : labels, task === "avss");
      writes.push(encodePng(image).then((png) => writeFileAtomic(file, png)));
    }
    await Promise.all(writes);
  };
}

/** The mask of frame `t` of a clip that `maskWriter` writes. Throws `OutputError` for a name that leads out of the folder. */
export function predictedMaskFile(outDir: string, { category, id }: ClipEntry, t: number): string {
  return safeJoin(outDir, "pred_masks", category, id, `${id}_${t}.png`);
}

/** Resized by nearest neighbor, and before it is colored: a blend of two colors would be that of a third class. */
const semanticSize = (labels: ImageTensor): ImageTensor =>
  resizeNearest(labels, semanticHeight, semanticWidth);
