/** The sound of a PhotoSounds clip: recordings placed in time, over ambience and noise. */
import { at, f32At } from "../../arrays.js";
import { readSound } from "../../media/node/read-sound.js";
import { hashText, Random } from "../../random.js";
import { addNoiseFloor } from "../generated/noise.js";
import { type Schedule, soundStepSeconds } from "../generated/schedule.js";
import { type Source, sourceId } from "./catalog.js";
import type { PhotoClipPlan } from "./plan.js";
import type { PackageFiles } from "./sources/packages.js";

/** Sample rate of every PhotoSounds sound: that of most recordings. */
export const sampleRateHz = 44_100;

/** Longest part of a recording that is used, in seconds. */
const maxSeconds = 15;
/** Blocks in which the level of a recording is measured, and how far below its loudest block it counts as silent. */
const blockSamples = 882;
const silenceDb = 28;
/** Blocks of a pause that are kept after a sound. */
const pauseBlocks = 15;
const fadeSamples = 350;

/** Reads recordings of the packages and keeps them in memory. */
export class RecordingStore {
  readonly #files: PackageFiles;
  readonly #kept = new Map<string, Promise<Float32Array>>();

  constructor(files: PackageFiles) {
    this.#files = files;
  }

  /** A recording without silence at its ends, at 44.1 kHz, whose sounding parts have a root mean square of 0.1. */
  read(source: Source): Promise<Float32Array> {
    const id = sourceId(source);
    const make = async (): Promise<Float32Array> => {
      const file = await this.#files.read(source.package, source.file);
      return normalized(await readSound(file, { sampleRateHz, maxSeconds }));
    };
    const found = this.#kept.get(id) ?? make();
    this.#kept.set(id, found);
    return found;
  }
}

/**
 * Cuts off silent ends, shortens pauses and scales the rest; a recording that is silent throughout stays as it is. With
 * long pauses inside, an object would be marked in seconds in which nothing is heard of it.
 */
export function normalized(samples: Float32Array): Float32Array {
  const blocks = Math.max(1, Math.floor(samples.length / blockSamples));
  const mean = samples.reduce((sum, x) => sum + x, 0) / samples.length;
  const power = Array.from({ length: blocks }, (_, b) => {
    const part = samples.subarray(b * blockSamples, (b + 1) * blockSamples);
    return part.reduce((sum, x) => sum + (x - mean) ** 2, 0) / part.length;
  });
  const limit = Math.max(...power) * 10 ** (-silenceDb / 10);
  const loud = power.filter((value) => value >= limit);
  const rms = Math.sqrt(loud.reduce((sum, value) => sum + value, 0) / loud.length);
  if (!(rms > 0)) return samples;
  // Of a pause, the first and the last blocks stay: the sound before it dies away, the next one begins.
  const last = power.findLastIndex((value) => value >= limit);
  const kept: number[] = [];
  let since = Infinity;
  for (let b = 0; b <= Math.min(last + 1, blocks - 1); b++) {
    since = (power[b] as number) >= limit ? 0 : since + 1;
    const near = power.slice(b + 1, b + 3).some((value) => value >= limit) && b > 0 && since < Infinity;
    if (since <= pauseBlocks || near) kept.push(b);
  }
  const out = new Float32Array(kept.length * blockSamples);
  kept.forEach((b, k) => {
    out.set(samples.subarray(b * blockSamples, (b + 1) * blockSamples), k * blockSamples);
  });
  return out.map((x) => ((x - mean) * 0.1) / rms);
}

/** The sound of a planned clip, mono, within -1 to 1. */
export async function mixSound(
  plan: PhotoClipPlan,
  store: RecordingStore,
): Promise<Float32Array<ArrayBuffer>> {
  const out = new Float32Array(plan.stepCount * sampleRateHz);
  for (const [i, { recording }] of plan.objects.entries()) {
    if (recording === undefined) continue;
    const random = new Random(plan.key, 0x701ce, i);
    const voice = new Float32Array(out.length);
    const samples = await store.read(recording);
    for (const part of soundingParts(plan.sounding, i)) fill(voice, samples, { ...part, random });
    if (random.uniform() < 0.3) lowPass(voice, random.uniform(2500, 9000));
    const loudness = 10 ** (random.uniform(-9, 4) / 20);
    for (let n = 0; n < out.length; n++) out[n] = f32At(out, n) + loudness * f32At(voice, n);
  }
  const random = new Random(plan.key, hashText("ambience"));
  if (plan.ambience !== undefined) {
    const samples = await store.read(plan.ambience);
    const loudness = 10 ** (random.uniform(-36, -14) / 20);
    let from = random.integer(samples.length);
    for (let n = 0; n < out.length; n++) {
      out[n] = f32At(out, n) + loudness * f32At(samples, from);
      from = from + 1 === samples.length ? 0 : from + 1;
    }
  }
  addNoiseFloor(out, 0.1 * 10 ** (random.uniform(-60, -30) / 20), random);
  return out.map((x) => Math.tanh(x));
}

/** The stretches of steps in which an object sounds, in samples. */
function soundingParts(
  sounding: Schedule,
  object: number,
): { readonly start: number; readonly end: number }[] {
  const steps = sounding.length;
  const edge = (step: number): number =>
    Math.round((step >= steps ? steps : step * soundStepSeconds) * sampleRateHz);
  const parts: { start: number; end: number }[] = [];
  for (let step = 0; step < steps; step++) {
    if (!sounding[step]?.[object]) continue;
    const last = parts.at(-1);
    if (last?.end === edge(step)) last.end = edge(step + 1);
    else parts.push({ start: edge(step), end: edge(step + 1) });
  }
  return parts;
}

interface Part {
  readonly start: number;
  readonly end: number;
  readonly random: Random;
}

/**
 * Repeats a recording within a stretch, at a slightly changed speed, with pauses short enough that every second has some
 * of it; a stretch of several seconds may have one longer pause.
 */
function fill(voice: Float32Array, samples: Float32Array, { start, end, random }: Part): void {
  const speed = Math.exp(0.05 * random.normal());
  const length = Math.floor(samples.length / speed);
  const stretch = end - start;
  const pause = random.uniform(0.05, 0.55) * sampleRateHz;
  const longPause = stretch > 4 * sampleRateHz && random.uniform() < 0.3;
  // A recording longer than the stretch starts anywhere in it.
  let offset = random.integer(Math.max(1, length - stretch));
  let position = start + Math.floor(random.uniform(0, 0.25) * sampleRateHz);
  let count = 0;
  while (position < end) {
    const played = Math.min(length - offset, end - position);
    play(voice, samples, { position, offset, played, speed });
    offset = 0;
    count++;
    const rest =
      longPause && count === 2 ? random.uniform(0.7, 1.2) * sampleRateHz : pause * random.uniform(0.5, 1);
    position += played + Math.max(200, Math.floor(rest));
  }
}

/** Adds a part of a recording, faded in and out where it is cut, at a speed with interpolation between samples. */
function play(
  voice: Float32Array,
  samples: Float32Array,
  part: {
    readonly position: number;
    readonly offset: number;
    readonly played: number;
    readonly speed: number;
  },
): void {
  const { position, offset, played, speed } = part;
  for (let i = 0; i < played; i++) {
    const from = (offset + i) * speed;
    const index = Math.floor(from);
    if (index + 1 >= samples.length) break;
    const a = f32At(samples, index);
    const fade = Math.min(1, (i + 1) / fadeSamples, (played - i) / fadeSamples);
    const value = a + (from - index) * (f32At(samples, index + 1) - a);
    voice[position + i] = f32At(voice, position + i) + fade * value;
  }
}

/** A first-order low-pass filter in place: a sound from farther away. */
function lowPass(samples: Float32Array, cutoffHz: number): void {
  const factor = 1 - Math.exp((-2 * Math.PI * cutoffHz) / sampleRateHz);
  let level = 0;
  for (let i = 0; i < samples.length; i++) {
    level += factor * (at(samples, i) - level);
    samples[i] = level;
  }
}
