/** How long a model takes. */
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { soundInputs } from "../media/sound-inputs.js";
import type { Predictor } from "./predictor.js";

/** Seconds of one run of a model over a window, measured on a blank one. */
export async function measureRun({
  predict,
  frameCount,
  imageSize,
  soundForm,
}: Pick<Predictor, "predict" | "frameCount" | "imageSize" | "soundForm">): Promise<number> {
  const pixels = frameCount * imageSize * imageSize * 3;
  const started = performance.now();
  await predict({
    frames: { dtype: "u8", shape: [frameCount, imageSize, imageSize, 3], data: new Uint8Array(pixels) },
    frameMask: { dtype: "f32", shape: [frameCount], data: new Float32Array(frameCount).fill(1) },
    ...soundInputs(new Float32Array(frameCount * VGGISH_RATE_HZ), frameCount, soundForm),
  });
  return (performance.now() - started) / 1000;
}
