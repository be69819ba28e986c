/** SoundShapes clips in memory: pixels, masks and sound of a `ClipSpec`. */
import { at, f32At, u8At } from "../../arrays.js";
import { hashText, Random } from "../../random.js";
import type { TensorOf } from "../../tensor.js";
import { addNoiseFloor } from "../generated/noise.js";
import { soundStepSeconds, stepFrame } from "../generated/schedule.js";
import { type Kind, kinds, labelOf } from "./kinds.js";
import { type ClipPlan, type ClipSpec, drawKinds, planClip } from "./plan.js";
import { SceneRenderer } from "./render.js";
import { drawScene } from "./scene.js";
import { sampleRateHz, synthesize } from "./voices.js";

/** A rendered clip of T steps at H x W pixels. */
export interface RenderedClip {
  readonly plan: ClipPlan;
  /** The objects' kinds, back to front. */
  readonly kinds: readonly Kind[];
  /** Whether object `i` sounds during step `t`: `sounding[t][i]`. */
  readonly sounding: readonly (readonly boolean[])[];
  /** `u8[T,H,W,3]` */
  readonly frames: TensorOf<"u8">;
  /** The visible object, sounding or not: 0 for none, `i + 1` for object `i`; `u8[T,H,W]`. */
  readonly objects: TensorOf<"u8">;
  /** Ground truth, the objects that sound: 1 (S4, MS3) or the label of the kind (AVSS); `u8[T,H,W]`. */
  readonly masks: TensorOf<"u8">;
  /** The sound, 16 kHz mono, T seconds, within -1 to 1. */
  readonly samples: Float32Array<ArrayBuffer>;
}

/** Renders the steps and the sound of a clip. Throws `RangeError` for fewer than two kinds. */
export function renderClip(spec: ClipSpec): RenderedClip {
  const plan = planClip(spec);
  const size = spec.imageSize;
  const { stepCount } = plan;
  const frames = new Uint8Array(stepCount * size * size * 3);
  const objects = new Uint8Array(stepCount * size * size);
  const masks = new Uint8Array(stepCount * size * size);
  const renderer = new SceneRenderer(plan.scene, size);
  const maskValue = maskValueOf(spec);
  for (let step = 0; step < stepCount; step++) {
    const pixels = [step * size * size, (step + 1) * size * size] as const;
    const visible = objects.subarray(...pixels);
    renderer.render(stepFrame(step, plan.framesPerSecond) / plan.framesPerSecond, plan.key, {
      image: frames.subarray(3 * pixels[0], 3 * pixels[1]),
      objects: visible,
    });
    masks.set(soundingMask(plan, step, { visible, maskValue }), pixels[0]);
  }
  return {
    plan,
    kinds: plan.scene.objects.map((object) => object.kind),
    sounding: plan.sounding,
    frames: { dtype: "u8", shape: [stepCount, size, size, 3], data: frames },
    objects: { dtype: "u8", shape: [stepCount, size, size], data: objects },
    masks: { dtype: "u8", shape: [stepCount, size, size], data: masks },
    samples: renderClipSound(plan),
  };
}

/** One frame of a clip as a video. */
export interface VideoFrame {
  /** When the frame is shown. */
  readonly timeSeconds: number;
  /** RGB, `u8[H,W,3]`. */
  readonly image: Uint8Array<ArrayBuffer>;
  /** Ground truth, the objects that sound in the frame's second: as in `RenderedClip.masks`; `u8[H,W]`. */
  readonly mask: Uint8Array<ArrayBuffer>;
}

/** All frames of the clip as a video, in order, with ground truth for each. Every frame has new arrays. */
export function* renderVideoFrames(spec: ClipSpec): Generator<VideoFrame> {
  const plan = planClip(spec);
  const size = spec.imageSize;
  const renderer = new SceneRenderer(plan.scene, size);
  const objects = new Uint8Array(size * size);
  const maskValue = maskValueOf(spec);
  const frameCount = Math.round(plan.stepCount * plan.framesPerSecond);
  for (let i = 0; i < frameCount; i++) {
    const timeSeconds = i / plan.framesPerSecond;
    const image = new Uint8Array(size * size * 3);
    renderer.render(timeSeconds, plan.key, { image, objects });
    yield {
      timeSeconds,
      image,
      mask: soundingMask(plan, Math.floor(timeSeconds), { visible: objects, maskValue }),
    };
  }
}

/** The value of an object's pixels in masks, by its kind. */
function maskValueOf(spec: ClipSpec): (kind: Kind) => number {
  return (kind) => (spec.task === "avss" ? labelOf(kind, spec.kinds) : 1);
}

/** A picture with a label for every pixel, to train a visual encoder on. */
export interface LabeledFrame {
  /** `u8[H,W,3]` */
  readonly image: TensorOf<"u8">;
  /** 0 for the background, otherwise 1 + the index of the kind among the kinds to choose from; `u8[H,W]`. */
  readonly labels: TensorOf<"u8">;
  readonly kinds: readonly Kind[];
}

/** Renders picture `index` of an endless series: two to four objects of different kinds. */
export function renderFrame(spec: {
  readonly seed: number;
  readonly index: number;
  readonly imageSize: number;
  /** Kinds to choose from. Default: the eight of the benchmark. */
  readonly kinds?: readonly Kind[] | undefined;
}): LabeledFrame {
  const random = new Random(spec.seed, 0xf2a3e, spec.index);
  const size = spec.imageSize;
  const scene = drawScene(random, drawKinds(random, spec.kinds ?? kinds), 1);
  const image = new Uint8Array(size * size * 3);
  const labels = new Uint8Array(size * size);
  new SceneRenderer(scene, size).render(random.uniform(), random.u32(), { image, objects: labels });
  const labelOfObject = [0, ...scene.objects.map(({ kind }) => labelOf(kind, spec.kinds))];
  for (let i = 0; i < labels.length; i++) labels[i] = at(labelOfObject, u8At(labels, i));
  return {
    image: { dtype: "u8", shape: [size, size, 3], data: image },
    labels: { dtype: "u8", shape: [size, size], data: labels },
    kinds: scene.objects.map((object) => object.kind),
  };
}

/**
 * The mixed voices of some kinds (of no kind: only the noise floor), 16 kHz mono, for training an audio
 * encoder. Sound `index` of an endless series. Default duration: 0.975 s, the length of one VGGish example.
 */
export function renderSound(
  soundKinds: readonly Kind[],
  spec: { readonly seed: number; readonly index: number; readonly durationSeconds?: number | undefined },
): Float32Array<ArrayBuffer> {
  const key = new Random(spec.seed, 0x50d2, spec.index).u32();
  const out = new Float32Array(Math.round((spec.durationSeconds ?? 0.975) * sampleRateHz));
  for (const kind of soundKinds) addVoice(out, kind, { key, gate: () => 1 });
  return finishSound(out, key);
}

/** The sound of a planned clip. */
function renderClipSound(plan: ClipPlan): Float32Array<ArrayBuffer> {
  const out = new Float32Array(plan.stepCount * sampleRateHz);
  plan.scene.objects.forEach((object, i) => {
    const on = plan.sounding.map((step) => step[i] === true);
    if (!on.includes(true)) return;
    const stepAt = (seconds: number) => Math.min(plan.stepCount - 1, Math.floor(seconds / soundStepSeconds));
    const gate = (seconds: number) => (on[stepAt(seconds)] ? 1 : 0);
    addVoice(out, object.kind, { key: plan.key, gate });
  });
  return finishSound(out, plan.key);
}

/** Adds a kind's voice at a random loudness; `gate` is evaluated every 5 ms, and the level follows it smoothly. */
function addVoice(
  out: Float32Array,
  kind: Kind,
  { key, gate }: { readonly key: number; readonly gate: (seconds: number) => number },
): void {
  const random = new Random(key, 0x701ce, hashText(kind));
  const loudness = 10 ** (random.uniform(-10, 3) / 20);
  const voice = synthesize(kind, out.length, random);
  const block = 80;
  let level = gate(0);
  for (let start = 0; start < out.length; start += block) {
    const target = gate(start / sampleRateHz);
    const end = Math.min(out.length, start + block);
    for (let i = start; i < end; i++) {
      level += 0.01 * (target - level);
      out[i] = f32At(out, i) + loudness * level * f32At(voice, i);
    }
  }
}

/** Adds the noise floor and compresses peaks to -1 to 1. */
function finishSound(out: Float32Array<ArrayBuffer>, key: number): Float32Array<ArrayBuffer> {
  const random = new Random(key, 0xf1002);
  addNoiseFloor(out, 0.1 * 10 ** (random.uniform(-45, -28) / 20), random);
  return out.map((x) => Math.tanh(x));
}

/** The mask of a step: pixels of the objects that sound have their kind's value. */
function soundingMask(
  plan: ClipPlan,
  step: number,
  { visible, maskValue }: { readonly visible: Uint8Array; readonly maskValue: (kind: Kind) => number },
): Uint8Array<ArrayBuffer> {
  const sounding = plan.sounding[step] ?? [];
  const values = [0, ...plan.scene.objects.map(({ kind }, i) => (sounding[i] ? maskValue(kind) : 0))];
  return Uint8Array.from(visible, (id) => at(values, id));
}
