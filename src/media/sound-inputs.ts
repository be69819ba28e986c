/** What models take of a sound: log-mel examples or samples. */
import type { TensorOf } from "../tensor.js";
import { fitExamples, VGGISH_RATE_HZ } from "./log-mel.js";
import type { Samples } from "./wav.js";

/** What a model takes of a sound: VGGish's log-mel examples, or samples at 16 kHz. */
export type SoundForm = "log-mel" | "wave";

/** The sound of B clips of T seconds, in the form that the model takes. */
export interface SoundInputs {
  /** VGGish examples, `f32[B*T,1,96,64]`, for models whose `soundForm` is `log-mel`. */
  readonly logMel?: TensorOf<"f32"> | undefined;
  /** 16 kHz mono, `f32[B,16000*T]`, for models whose `soundForm` is `wave`. */
  readonly sound?: TensorOf<"f32"> | undefined;
}

/**
 * The input of one clip for 16 kHz mono samples: longer sound is cut; `fitExamples` and `fitWave` say what follows a
 * shorter one.
 */
export function soundInputs(
  samples: Float32Array<ArrayBuffer>,
  seconds: number,
  form: SoundForm = "log-mel",
): SoundInputs {
  if (form === "log-mel") return { logMel: fitExamples(samples, VGGISH_RATE_HZ, seconds) };
  const data = fitWave(samples, seconds);
  return { sound: { dtype: "f32", shape: [1, data.length], data } };
}

/** Exactly `seconds` of 16 kHz sound: cut, or followed by silence. */
export function fitWave(samples: Samples, seconds: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(seconds * VGGISH_RATE_HZ);
  data.set(samples.subarray(0, data.length));
  return data;
}
