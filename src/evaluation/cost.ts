/** What an evaluated model costs. */
import type { ClipBatch, Predictor } from "../inference/predictor.js";

/** What a model costs per clip of T frames; `null` where it was not measured. */
export interface Cost {
  /** Numbers that its parameters hold. */
  readonly parameters: number;
  /** Floating-point operations of the published formulas for a clip, a multiply-add counting as two. */
  readonly flopsPerClip: number;
  /** Median time of a run, per clip. */
  readonly secondsPerClip: number | null;
  /** Largest resident memory of the process so far. */
  readonly peakMemoryBytes: number;
}

/** A predictor that times its runs. */
export function timed<P extends Predictor>(
  predictor: P,
): { readonly predictor: P; readonly secondsPerClip: () => number | null } {
  const times: number[] = [];
  const predict = async (batch: ClipBatch) => {
    const start = performance.now();
    const logits = await predictor.predict(batch);
    const clips = (batch.frames.shape[0] ?? 0) / predictor.frameCount;
    times.push((performance.now() - start) / 1000 / clips);
    return logits;
  };
  const secondsPerClip = (): number | null => times.toSorted((a, b) => a - b)[times.length >> 1] ?? null;
  return { predictor: { ...predictor, predict }, secondsPerClip };
}
