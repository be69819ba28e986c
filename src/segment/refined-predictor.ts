/** A model whose masks have the edges of the pictures, for evaluation of what users get. */
import { probabilitiesOf } from "../inference/masks.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import { type ImageTensor, resizeBilinear } from "../media/resize.js";
import type { TensorOf } from "../tensor.js";
import { edgeGrid, guideSize } from "./grid.js";
import { upsample } from "./probability-map.js";
import { EdgeRefiner } from "./refine.js";

/** Probabilities are this far from 0 and 1 at least, so that their logits are finite. */
const least = 1e-6;

/**
 * A predictor whose logits give the masks that segmenting gives: their edges are fitted to those of the frames. For K = 1 they are
 * the logits of how clearly a pixel is marked, for more classes 1 for the class of a pixel and 0 for the others. Logits
 * that are not finite stay as they are.
 */
export function refinedPredictor<P extends Predictor>(model: P): P {
  const refiner = new EdgeRefiner(edgeGrid(model));
  const guide = guideSize({ width: model.imageSize, height: model.imageSize }, model);
  const predict = async (batch: ClipBatch): Promise<TensorOf<"f32">> => {
    const logits = await model.predict(batch);
    if (!logits.data.every(Number.isFinite)) return logits;
    const data = new Float32Array(logits.data.length);
    const [frames = 0] = logits.shape;
    const size = data.length / frames;
    for (let n = 0; n < frames; n++) {
      refineFrame({ logits, frame: n, image: pictureOf(batch, n) }, data.subarray(n * size, (n + 1) * size));
    }
    return { dtype: "f32", shape: logits.shape, data };
  };

  /** Writes the refined logits of one frame, `f32[K,H,W]`, into `out`. */
  const refineFrame = (
    { logits, frame, image }: { logits: TensorOf<"f32">; frame: number; image: ImageTensor },
    out: Float32Array,
  ): void => {
    const map = probabilitiesOf(logits, frame);
    const { width, height } = map;
    const marks = refiner.refine(map, resizeBilinear(image, guide.height, guide.width));
    const oneClass = model.classes.length === 1;
    for (const { y, labels, fraction } of upsample(map, { width, height }, { marks, oneClass })) {
      for (let x = 0, i = y * width; x < width; x++, i++) {
        const marked = fraction[x]!;
        if (oneClass) out[i] = logit(marked);
        else out[(marked > 0.5 ? labels[x]! : 0) * width * height + i] = 1;
      }
    }
  };
  return { ...model, predict };
}

function logit(probability: number): number {
  const p = Math.min(1 - least, Math.max(least, probability));
  return Math.log(p / (1 - p));
}

/** Frame `n` of a batch. */
function pictureOf({ frames }: ClipBatch, n: number): ImageTensor {
  const [, height = 0, width = 0] = frames.shape;
  const size = height * width * 3;
  return { dtype: "u8", shape: [height, width, 3], data: frames.data.slice(n * size, (n + 1) * size) };
}
