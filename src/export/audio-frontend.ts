/** VGGish's log-mel front end as part of a graph: the transform of `media/log-mel.ts` in ordinary operators. */
import { at } from "../arrays.js";
import {
  add,
  cast,
  concat,
  constant,
  dim,
  log,
  matmul,
  mul,
  reshape,
  slice,
  sqrt,
  type Value,
} from "../graph/index.js";
import { EXAMPLE_FRAMES, logMelTransform, MEL_BANDS, VGGISH_RATE_HZ } from "../media/log-mel.js";

/** Samples of a clip's sound that `logMelOf` takes: one second per example. */
export function samplesOf(examples: number): number {
  return examples * VGGISH_RATE_HZ;
}

/**
 * Log-mel examples of 16 kHz mono sound.  sound `f32[B,16000*examples]` -> `f32[B*examples,1,96,64]`
 * Example k starts at 0.96 k seconds, so the last 0.2 s of a five-second clip are dropped, as in the published system.
 *
 * In f64: beside a loud tone a quiet band is a small difference of large numbers, and the logarithm shows it.
 */
export function logMelOf(sound: Value, examples: number): Value {
  const { window, hopSamples, fftSize, bands, logOffset } = logMelTransform;
  const batch = dim(sound, 0);
  const frames = examples * EXAMPLE_FRAMES;
  const hopsPerFrame = Math.ceil(window.length / hopSamples);
  const hops = frames + hopsPerFrame - 1;

  // A frame is some whole hops and a part of the next one: hop f, hop f+1, the start of hop f+2.
  const used = slice(sound, [{ axis: 1, start: 0, end: hops * hopSamples }]);
  const rows = reshape(cast(used, "f64"), [batch, hops, hopSamples]);
  const parts = Array.from({ length: hopsPerFrame }, (_, k) =>
    slice(rows, [
      { axis: 1, start: k, end: k + frames },
      { axis: 2, start: 0, end: Math.min(hopSamples, window.length - k * hopSamples) },
    ]),
  );
  const framed = reshape(concat(parts, 2), [batch * frames, window.length]);

  const wave = (f: (angle: number) => number) =>
    matrix(window.length, fftSize / 2 + 1, (n, bin) => at(window, n) * f((2 * Math.PI * n * bin) / fftSize));
  const real = matmul(framed, wave(Math.cos)); // [B*F,257]
  const imaginary = matmul(framed, wave(Math.sin));
  const magnitude = sqrt(add(mul(real, real), mul(imaginary, imaginary)));

  const toBands = matrix(fftSize / 2 + 1, bands.length, (bin, band) => {
    const { first = 0, weights } = bands[band] ?? {};
    return weights?.[bin - first] ?? 0;
  });
  const offset = constant({ dtype: "f64", shape: [], data: Float64Array.of(logOffset) });
  const logMel = log(add(matmul(magnitude, toBands), offset));
  return reshape(cast(logMel, "f32"), [batch * examples, 1, EXAMPLE_FRAMES, MEL_BANDS]);
}

function matrix(rows: number, columns: number, at: (row: number, column: number) => number): Value {
  const data = Float64Array.from({ length: rows * columns }, (_, i) =>
    at(Math.floor(i / columns), i % columns),
  );
  return constant({ dtype: "f64", shape: [rows, columns], data });
}
