/** The one decision from logits to masks: evaluation, reports and the comparison of exports all use it. */
import { sizeOf, type TensorOf } from "../tensor.js";

/** What a model predicts for some frames. */
export interface PredictedMasks {
  /** `u8[N,H,W]`: 0 or 1 for the binary tasks, class indices otherwise. */
  readonly masks: TensorOf<"u8">;
  /** Probability that a pixel sounds, `f32[N,H,W]`; for the binary tasks only. */
  readonly probabilities?: TensorOf<"f32"> | undefined;
}

/**
 * Masks of logits `f32[N,K,H,W]`. For K = 1 a pixel is marked where its probability, rounded to single precision, is
 * above 0.5. Otherwise it belongs to the class with the largest logit, the lowest of equals.
 */
export function masksOf(logits: TensorOf<"f32">): PredictedMasks {
  const [frames = 0, classes = 1, ...size] = logits.shape;
  const shape = [frames, ...size];
  const masks = new Uint8Array(sizeOf(shape));
  if (classes === 1) {
    const probabilities = logits.data.map((x) => 1 / (1 + Math.exp(-x)));
    for (let i = 0; i < masks.length; i++) masks[i] = probabilities[i]! > 0.5 ? 1 : 0;
    return {
      masks: { dtype: "u8", shape, data: masks },
      probabilities: { dtype: "f32", shape, data: probabilities },
    };
  }
  const pixels = sizeOf(size);
  for (let n = 0; n < frames; n++) {
    const planes = logits.data.subarray(n * classes * pixels, (n + 1) * classes * pixels);
    largestClass(planes, masks.subarray(n * pixels, (n + 1) * pixels));
  }
  return { masks: { dtype: "u8", shape, data: masks } };
}

/** Writes the class with the largest of the logits `f32[K,H*W]` at each pixel into `classes` `u8[H*W]`. */
function largestClass(logits: Float32Array, classes: Uint8Array): void {
  const pixels = classes.length;
  const largest = logits.slice(0, pixels);
  classes.fill(0);
  for (let k = 1; k * pixels < logits.length; k++) {
    const plane = logits.subarray(k * pixels, (k + 1) * pixels);
    for (let i = 0; i < pixels; i++) {
      const x = plane[i]!;
      if (x <= largest[i]!) continue;
      largest[i] = x;
      classes[i] = k;
    }
  }
}
