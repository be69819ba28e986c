/**
 * The sounds of the kinds. Each kind has its own timbre and rhythm; pitch, tempo, loudness and envelope vary, so that
 * no single band or level identifies a kind.
 */
import { f32At } from "../../arrays.js";
import type { Random } from "../../random.js";
import { whiteNoise } from "../generated/noise.js";
import type { Kind } from "./kinds.js";

/** Sample rate of every SoundShapes sound. */
export const sampleRateHz = 16000;

/** Fills `out` with one voice, peaks near 1. */
type Voice = (out: Float32Array, random: Random) => void;

/** Synthesizes `sampleCount` samples of a kind's voice, scaled to a root mean square of 0.1. */
export function synthesize(kind: Kind, sampleCount: number, random: Random): Float32Array<ArrayBuffer> {
  const out = new Float32Array(sampleCount);
  voices[kind](out, random);
  let energy = 0;
  for (const x of out) energy += x * x;
  const gain = 0.1 / Math.sqrt(energy / sampleCount + 1e-12);
  return out.map((x) => x * gain);
}

const voices: Record<Kind, Voice> = {
  /** An organ: a low, full, steady tone with a slow tremolo. */
  disc: (out, random) => {
    const table = waveTable([1, 0.7, 0.45, 0.3, 0.2, 0.12]);
    const pitch = random.uniform(130, 270);
    const tremolo = wobble(random, [2, 5], 0.25);
    oscillate(out, { table, frequencyHz: () => pitch, amplitude: (t) => 1 + tremolo(t) });
  },
  /** A bell: inharmonic partials, struck again and again. */
  triangle: (out, random) => {
    const pitch = random.uniform(520, 820);
    const decay = random.uniform(0.12, 0.28);
    const strikes = rhythm(out.length, random, { strikesPerSecond: random.uniform(2.4, 4), jitter: 0.15 });
    [1, 2.76, 5.4].forEach((ratio, i) => {
      const envelope = decays(out.length, strikes, decay / (1 + 0.6 * i));
      oscillate(out, {
        table: sine,
        frequencyHz: () => pitch * ratio,
        amplitude: (_, n) => f32At(envelope, n) * 0.75 ** i,
      });
    });
  },
  /** A reed: bright odd harmonics in short, even notes. */
  square: (out, random) => {
    const table = waveTable(Array.from({ length: 15 }, (_, i) => (i % 2 === 0 ? (i + 1) ** -0.7 : 0)));
    const pitch = random.uniform(230, 430);
    const tempo = random.uniform(5, 8);
    const held = random.uniform(0.45, 0.65);
    oscillate(out, {
      table,
      frequencyHz: () => pitch,
      amplitude: (t) => ((((t * tempo) % 1) + 1) % 1 < held ? 1 : 0.02),
    });
    soften(out, 0.5);
  },
  /** A bird: quick rising chirps. */
  star: (out, random) => {
    const low = random.uniform(1500, 2200);
    const high = low * random.uniform(1.9, 2.4);
    const tempo = random.uniform(3.5, 6);
    const length = random.uniform(0.45, 0.7);
    const offset = random.uniform();
    const place = (t: number): number => ((t * tempo + offset) % 1) / length;
    oscillate(out, {
      table: sine,
      frequencyHz: (t) => low + (high - low) * Math.min(1, place(t)),
      amplitude: (t) => (place(t) < 1 ? Math.sin(Math.PI * place(t)) : 0),
    });
  },
  /** A shaker: short bursts of bright noise. */
  cross: (out, random) => {
    const envelope = decays(
      out.length,
      rhythm(out.length, random, { strikesPerSecond: random.uniform(4, 8), jitter: 0.1 }),
      random.uniform(0.02, 0.05),
    );
    const noise = whiteNoise(random);
    let low = 0;
    for (let i = 0; i < out.length; i++) {
      const white = noise();
      low += 0.5 * (white - low);
      out[i] = (white - low) * f32At(envelope, i);
    }
  },
  /** A whistle: one pure tone with vibrato. */
  ring: (out, random) => {
    const pitch = random.uniform(1100, 1900);
    const vibrato = wobble(random, [4, 7], 0.03);
    const swell = wobble(random, [0.5, 1.5], 0.3);
    oscillate(out, {
      table: sine,
      frequencyHz: (t) => pitch * (1 + vibrato(t)),
      amplitude: (t) => 1 + swell(t),
    });
  },
  /** The wind: a slowly moving band of noise. */
  crescent: (out, random) => {
    const center = random.uniform(350, 650);
    const drift = wobble(random, [0.3, 1], 0.35);
    const gust = wobble(random, [0.4, 1.2], 0.4);
    const noise = whiteNoise(random);
    // A state-variable band-pass filter.
    let low = 0;
    let band = 0;
    for (let i = 0; i < out.length; i++) {
      const t = i / sampleRateHz;
      const f = (2 * Math.PI * center * (1 + drift(t))) / sampleRateHz;
      low += f * band;
      band += f * (noise() - low - 0.45 * band);
      out[i] = band * (1 + gust(t));
    }
  },
  /** A heartbeat: pairs of low thumps. */
  heart: (out, random) => {
    const pitch = random.uniform(130, 190);
    const tempo = random.uniform(1.5, 2.3);
    const firsts = rhythm(out.length, random, { strikesPerSecond: tempo, jitter: 0.05 });
    const gap = Math.round((0.28 / tempo) * sampleRateHz);
    const strikes = firsts.flatMap((n) => [n, n + gap]).sort((a, b) => a - b);
    const envelope = decays(out.length, strikes, random.uniform(0.05, 0.09));
    oscillate(out, {
      table: waveTable([1, 0.35]),
      frequencyHz: (_, n) => pitch * (0.8 + 0.6 * f32At(envelope, n)),
      amplitude: (_, n) => f32At(envelope, n),
    });
  },
  /** A siren: a bright tone that slides up and down. */
  arrow: (out, random) => {
    const low = random.uniform(350, 500);
    const slide = wobble(random, [1, 2], 1);
    const table = waveTable(Array.from({ length: 8 }, (_, i) => 1 / (i + 1)));
    oscillate(out, { table, frequencyHz: (t) => low * 1.8 ** (1 + slide(t)), amplitude: () => 1 });
  },
  /** A cricket: a high tone, quickly and fully modulated. */
  hourglass: (out, random) => {
    const pitch = random.uniform(3200, 4800);
    const buzz = wobble(random, [25, 40], 1);
    const chirr = wobble(random, [1.5, 2.5], 1);
    oscillate(out, {
      table: sine,
      frequencyHz: () => pitch,
      amplitude: (t) => (1 + buzz(t)) * Math.max(0, 0.5 + chirr(t)),
    });
  },
};

const tableSize = 2048;
const sine = waveTable([1]);

/** One period of a sum of sines of the given amplitudes, peak 1, with one more sample for interpolation. */
function waveTable(amplitudes: readonly number[]): Float32Array {
  const table = new Float32Array(tableSize + 1);
  amplitudes.forEach((amplitude, h) => {
    for (let i = 0; i <= tableSize; i++) {
      table[i] = f32At(table, i) + amplitude * Math.sin((2 * Math.PI * (h + 1) * i) / tableSize);
    }
  });
  const peak = table.reduce((max, x) => Math.max(max, Math.abs(x)), 0);
  return table.map((x) => x / peak);
}

interface Oscillator {
  /** One period of the wave. */
  readonly table: Float32Array;
  readonly frequencyHz: (seconds: number, sample: number) => number;
  readonly amplitude: (seconds: number, sample: number) => number;
}

/** Adds a wave of varying frequency and amplitude to `out`; both are evaluated every 16 samples. */
function oscillate(out: Float32Array, { table, frequencyHz, amplitude }: Oscillator): void {
  const block = 16;
  let phase = 0;
  let level = amplitude(0, 0);
  for (let start = 0; start < out.length; start += block) {
    const end = Math.min(out.length, start + block);
    const step = (frequencyHz(start / sampleRateHz, start) * tableSize) / sampleRateHz;
    const slope = (amplitude(end / sampleRateHz, Math.min(end, out.length - 1)) - level) / (end - start);
    for (let i = start; i < end; i++) {
      const index = phase | 0;
      const a = f32At(table, index);
      const value = a + (phase - index) * (f32At(table, index + 1) - a);
      out[i] = f32At(out, i) + level * value;
      level += slope;
      phase += step;
      if (phase >= tableSize) phase -= tableSize;
    }
  }
}

/** A sine of random rate and phase, between -depth and depth. */
function wobble(
  random: Random,
  [lowHz, highHz]: readonly [number, number],
  depth: number,
): (seconds: number) => number {
  const omega = 2 * Math.PI * random.uniform(lowHz, highHz);
  const phase = random.uniform(0, 2 * Math.PI);
  return (t) => depth * Math.sin(omega * t + phase);
}

/** Sample indices of strikes at a tempo, each moved by up to `jitter` of a period. */
function rhythm(
  sampleCount: number,
  random: Random,
  { strikesPerSecond, jitter }: { strikesPerSecond: number; jitter: number },
): number[] {
  const period = sampleRateHz / strikesPerSecond;
  const strikes: number[] = [];
  for (let at = -period * random.uniform(); at < sampleCount; at += period) {
    strikes.push(Math.round(at + period * random.uniform(-jitter, jitter)));
  }
  return strikes;
}

/** An envelope that jumps to 1 within 2 ms of each strike and falls by e every `decaySeconds`. */
function decays(sampleCount: number, strikes: readonly number[], decaySeconds: number): Float32Array {
  const envelope = new Float32Array(sampleCount);
  const factor = Math.exp(-1 / (decaySeconds * sampleRateHz));
  const attack = 1 / (0.002 * sampleRateHz);
  const first = Math.min(0, strikes[0] ?? 0);
  let level = 0;
  let rising = false;
  let next = 0;
  for (let i = first; i < sampleCount; i++) {
    if (i === strikes[next]) {
      rising = true;
      next++;
    }
    if (rising) {
      level = Math.min(1, level + attack);
      rising = level < 1;
    } else {
      level *= factor;
    }
    if (i >= 0) envelope[i] = level;
  }
  return envelope;
}

/** A one-pole low-pass filter in place; `weight` is that of each new sample. */
function soften(out: Float32Array, weight: number): void {
  let low = 0;
  for (let i = 0; i < out.length; i++) {
    low += weight * (f32At(out, i) - low);
    out[i] = low;
  }
}
