/** "Does it listen?": a model that is given another sound than the video's own. */
import type { Predictor } from "../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../media/log-mel.js";
import { soundInputs } from "../media/sound-inputs.js";

/**
 * A model that listens to `samples` (16 kHz mono, repeated as often as needed) in place of the sound that comes with the
 * frames. Windows must be predicted in order.
 */
export function withOtherSound(model: Predictor, samples: Float32Array): Predictor {
  const { frameCount, soundForm } = model;
  const windowSamples = frameCount * VGGISH_RATE_HZ;
  let window = 0;
  return {
    ...model,
    predict: (batch) => {
      const sound = cyclic(samples, window++ * windowSamples, windowSamples);
      return model.predict({ ...batch, ...soundInputs(sound, frameCount, soundForm) });
    },
  };
}

/** `count` samples from `start` on, as if `samples` were repeated forever; silence if there are no samples. */
function cyclic(samples: Float32Array, start: number, count: number): Float32Array<ArrayBuffer> {
  const out = new Float32Array(count);
  if (samples.length === 0) return out;
  for (let i = 0; i < count; i++) out[i] = samples[(start + i) % samples.length]!;
  return out;
}
