/** A model's masks for clips of a dataset, with everything checked that would otherwise give wrong metrics. */
import type { Clip } from "../datasets/clip.js";
import { toClipBatch } from "../datasets/clip-batch.js";
import { AvsegError, DatasetError } from "../errors.js";
import { masksOf, type PredictedMasks } from "../inference/masks.js";
import type { Predictor } from "../inference/predictor.js";
import { soundRateHz } from "../models/forward.js";
import { describe, sizeOf, type TensorOf } from "../tensor.js";

/** A clip and what a model predicts for it; masks are `u8[T,H,W]`. */
export interface PredictedClip extends PredictedMasks {
  readonly clip: Clip;
}

/**
 * Masks of some clips, in their order; the model runs `clipsPerRun` clips at a time. Throws `DatasetError` when a
 * clip does not fit the model, `AvsegError` when logits are not finite, and the signal's reason when it is aborted.
 */
export async function* predictClips(
  predictor: Predictor,
  clips: readonly Clip[],
  signal?: AbortSignal,
): AsyncGenerator<PredictedClip, void, undefined> {
  const { frameCount, maskSize, classes, clipsPerRun } = predictor;
  for (let first = 0; first < clips.length; first += clipsPerRun) {
    signal?.throwIfAborted();
    const group = clips.slice(first, first + clipsPerRun);
    for (const clip of group) checkClip(clip, predictor);
    const logits = await predictor.predict(toClipBatch(group));
    const expected = [group.length * frameCount, classes.length, maskSize, maskSize];
    if (logits.shape.join() !== expected.join()) {
      throw new RangeError(`evaluate: expected logits f32[${expected.join(",")}], got ${describe(logits)}`);
    }
    const size = logits.data.length / group.length;
    for (const [i, clip] of group.entries()) {
      const data = logits.data.subarray(i * size, (i + 1) * size);
      requireFinite(data, clip);
      yield { clip, ...masksOf({ dtype: "f32", shape: [frameCount, ...expected.slice(1)], data }) };
    }
  }
}

/** Masks of one clip; throws as `predictClips` does. */
export async function predictClip(
  predictor: Predictor,
  clip: Clip,
  signal?: AbortSignal,
): Promise<PredictedClip> {
  for await (const predicted of predictClips(predictor, [clip], signal)) return predicted;
  throw new Error("evaluate: the model gave no masks");
}

function checkClip(clip: Clip, { frameCount, imageSize, maskSize, classes, soundForm }: Predictor): void {
  const require = (what: string, tensor: TensorOf<"u8" | "f32">, shape: readonly number[]): void => {
    if (tensor.shape.join() === shape.join() && tensor.data.length === sizeOf(shape)) return;
    throw new DatasetError(
      `clip ${clip.id}: expected ${what} ${tensor.dtype}[${shape.join(",")}] for this model, found ${describe(tensor)}`,
      {
        hint: "Open the dataset with the image size, mask size and frame count of the checkpoint's configuration.",
      },
    );
  };
  require("frames", clip.frames, [frameCount, imageSize, imageSize, 3]);
  require("masks", clip.masks, [clip.labeled.length, maskSize, maskSize]);
  require("the frame mask", clip.frameMask, [frameCount]);
  const isWave = soundForm === "wave";
  const sound = isWave ? clip.sound : clip.logMel;
  if (sound === undefined) {
    const [expected, found] = isWave ? ["samples", "log-mels"] : ["log-mels", "samples"];
    throw new DatasetError(`clip ${clip.id}: expected ${expected} for this model, found ${found} only`, {
      hint: `Open the dataset with \`waves: ${isWave}\`.`,
    });
  }
  if (isWave) require("samples", sound, [frameCount * soundRateHz]);
  else require("log-mels", sound, [frameCount, 1, 96, 64]);
  const labels = Math.max(2, classes.length);
  const largest = clip.masks.data.reduce((max, k) => Math.max(max, k), 0);
  if (largest < labels) return;
  throw new DatasetError(`clip ${clip.id}: expected mask values below ${labels}, found ${largest}`, {
    hint: "Evaluate with a model trained on this dataset's classes.",
  });
}

function requireFinite(logits: Float32Array, clip: Clip): void {
  let difference = 0; // x - x is zero unless x is infinite or not a number
  for (const x of logits) difference += x - x;
  if (difference === 0) return;
  throw new AvsegError(`clip ${clip.id}: the model's logits are not finite numbers`, {
    hint: "The checkpoint holds such numbers or its training diverged; try an earlier one, or a lower learning rate.",
  });
}
