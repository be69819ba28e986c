/** What models take of a sound: some read log-mel examples, others the wave, so that callers give both. */
import type { TensorOf } from "../tensor.js";
import { fitExamples, VGGISH_RATE_HZ } from "./log-mel.js";
import type { Samples } from "./wav.js";

/** The inputs of one clip of T seconds. */
export interface SoundInputs {
  /** `f32[T,1,96,64]` */
  readonly logMel: TensorOf<"f32">;
  /** 16 kHz mono, `f32[1,16000*T]` */
  readonly sound: TensorOf<"f32">;
}

/** The inputs for 16 kHz mono samples: longer sound is cut; `fitExamples` and `fitWave` say what follows a shorter one. */
export function soundInputs(samples: Float32Array<ArrayBuffer>, seconds: number): SoundInputs {
  const data = fitWave(samples, seconds);
  return {
    logMel: fitExamples(samples, VGGISH_RATE_HZ, seconds),
    sound: { dtype: "f32", shape: [1, data.length], data },
  };
}

/** Exactly `seconds` of 16 kHz sound: cut, or followed by silence. */
export function fitWave(samples: Samples, seconds: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(seconds * VGGISH_RATE_HZ);
  data.set(samples.subarray(0, data.length));
  return data;
}
