/**
 * What aiSFX takes of a sound, in a graph: 44.1 kHz mono divided by its peak, a periodic Hann window of 2048 samples
 * centered at every 1024th, power, 96 HTK mel bands of 0-22050 Hz whose weights add up to 1, log10(10000 x + 1) / 9.4578.
 * As the package aisfx computes it with librosa.
 */
import {
  abs,
  add,
  cast,
  concat,
  constant,
  dim,
  div,
  log,
  matmul,
  max,
  maximum,
  mul,
  pad,
  reshape,
  slice,
  type Value,
} from "../graph/index.js";

/** The rate of its sound in Hz. */
export const aisfxRateHz = 44_100;
const windowSamples = 2048;
const hopSamples = 1024;
/** Seconds from one frame to the next. */
export const aisfxFrameSeconds = hopSamples / aisfxRateHz;
const bins = windowSamples / 2 + 1;
/** Mel bands. */
const bands = 96;
/** Largest value in the sounds that the encoder was trained on. */
const largest = 9.457798957824707;

/** Frames of `samples` samples. */
function frameCountOf(samples: number): number {
  return 1 + Math.floor(samples / hopSamples);
}

/** waves `f32[B,S]` -> spectrogram `f32[B,F,96]` with F = 1 + floor(S / 1024). Computed in f64, as the reference is. */
export function aisfxSpectrogram(waves: Value): Value {
  const [batch, samples] = [dim(waves, 0), dim(waves, 1)];
  const frames = frameCountOf(samples);
  const exact = cast(waves, "f64");
  const peak = max(abs(exact), { axes: [1], keepDims: true });
  const scaled = div(
    exact,
    maximum(
      peak,
      f64([], () => 1e-30),
    ),
  ); // digital silence stays silent
  // A frame is two whole hops. Half a window of silence comes before the sound, and what fills the last hop after it.
  const total = (frames + 1) * hopSamples;
  const before = windowSamples / 2;
  const padded = pad(scaled, [{ axis: 1, before, after: Math.max(0, total - before - samples) }]);
  const used = slice(padded, [{ axis: 1, start: 0, end: total }]);
  const hops = reshape(used, [batch, frames + 1, hopSamples]);
  const part = (k: number) => slice(hops, [{ axis: 1, start: k, end: k + frames }]);
  const framed = reshape(concat([part(0), part(1)], 2), [batch * frames, windowSamples]);
  const wave = (f: (angle: number) => number) =>
    f64([windowSamples, bins], (i) => {
      const [n, bin] = [Math.floor(i / bins), i % bins];
      const hann = 0.5 - 0.5 * Math.cos((2 * Math.PI * n) / windowSamples);
      return hann * f((2 * Math.PI * ((n * bin) % windowSamples)) / windowSamples);
    });
  const real = matmul(framed, wave(Math.cos));
  const imaginary = matmul(framed, wave(Math.sin));
  const power = add(mul(real, real), mul(imaginary, imaginary)); // [B*F,1025]
  const weights = melWeights();
  const energy = matmul(
    power,
    f64([bins, bands], (i) => weights[i % bands]?.[Math.floor(i / bands)] ?? 0),
  );
  const level = log(
    add(
      mul(
        energy,
        f64([], () => 1e4),
      ),
      f64([], () => 1),
    ),
  );
  const scale = f64([], () => 1 / (Math.LN10 * largest));
  return reshape(cast(mul(level, scale), "f32"), [batch, frames, bands]);
}

const mel = (hertz: number) => 2595 * Math.log10(1 + hertz / 700);
const hertz = (mels: number) => 700 * (10 ** (mels / 2595) - 1);

/** By band, the weights of all bins: triangles in hertz, which add up to 1. */
function melWeights(): number[][] {
  const edge = (i: number) => hertz((mel(aisfxRateHz / 2) * i) / (bands + 1));
  return Array.from({ length: bands }, (_, band) => {
    const [low, middle, high] = [edge(band), edge(band + 1), edge(band + 2)];
    const triangle = Array.from({ length: bins }, (_, bin) => {
      const at = (bin * aisfxRateHz) / windowSamples;
      return Math.max(0, Math.min((at - low) / (middle - low), (high - at) / (high - middle)));
    });
    const sum = triangle.reduce((a, b) => a + b, 0);
    return triangle.map((weight) => weight / sum);
  });
}

function f64(shape: readonly number[], value: (index: number) => number): Value {
  const size = shape.reduce((a, b) => a * b, 1);
  return constant({ dtype: "f64", shape, data: Float64Array.from({ length: size }, (_, i) => value(i)) });
}
