/** A model's masks for clips of a dataset, with everything checked that would otherwise give wrong metrics. */
import { readAhead } from "../bounded-queue.js";
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

/** Clips that the model was given at once, and what it gave. */
interface PredictedGroup {
  readonly clips: readonly Clip[];
  readonly logits: TensorOf<"f32">;
}

/**
 * Masks of the clips of some batches, in their order; the model runs `clipsPerRun` clips of a batch at a time, and the
 * next ones while these are used. Throws `DatasetError` when a clip does not fit the model, `AvsegError` when logits
 * are not finite, and the signal's reason when it is aborted.
 */
export async function* predictClips(
  predictor: Predictor,
  batches: AsyncIterable<readonly Clip[]>,
  signal?: AbortSignal,
): AsyncGenerator<PredictedClip, void, undefined> {
  const { clipsPerRun } = predictor;
  async function* groups(): AsyncGenerator<PredictedGroup, void, undefined> {
    for await (const batch of batches) {
      for (let first = 0; first < batch.length; first += clipsPerRun) {
        signal?.throwIfAborted();
        const clips = batch.slice(first, first + clipsPerRun);
        yield { clips, logits: await logitsOf(predictor, clips) };
      }
    }
  }
  for await (const { clips, logits } of readAhead(groups())) {
    for (const [i, clip] of clips.entries()) {
      signal?.throwIfAborted();
      yield clipMasks(clip, logits, { index: i, of: clips.length });
    }
  }
}

/** Masks of one clip; throws as `predictClips` does. */
export async function predictClip(
  predictor: Predictor,
  clip: Clip,
  signal?: AbortSignal,
): Promise<PredictedClip> {
  signal?.throwIfAborted();
  return clipMasks(clip, await logitsOf(predictor, [clip]), { index: 0, of: 1 });
}

/** Logits of some clips, `f32[B*T,K,H,W]`. */
async function logitsOf(predictor: Predictor, clips: readonly Clip[]): Promise<TensorOf<"f32">> {
  const { frameCount, maskSize, classes } = predictor;
  for (const clip of clips) checkClip(clip, predictor);
  const logits = await predictor.predict(toClipBatch(clips));
  const expected = [clips.length * frameCount, classes.length, maskSize, maskSize];
  if (logits.shape.join() === expected.join()) return logits;
  throw new RangeError(`evaluate: expected logits f32[${expected.join(",")}], got ${describe(logits)}`);
}

/** The masks of one of the clips that logits are of. */
function clipMasks(
  clip: Clip,
  { shape, data }: TensorOf<"f32">,
  { index, of }: { readonly index: number; readonly of: number },
): PredictedClip {
  const size = data.length / of;
  const own = data.subarray(index * size, (index + 1) * size);
  requireFinite(own, clip);
  const [frames = 0, ...rest] = shape;
  return { clip, ...masksOf({ dtype: "f32", shape: [frames / of, ...rest], data: own }) };
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
