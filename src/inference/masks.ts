/** From logits to probabilities and to the masks that evaluation, segmentation, reports and comparisons of exports show. */
import { f32At } from "../arrays.js";
import { sizeOf, type TensorOf } from "../tensor.js";

/** What a model predicts for some frames. */
export interface PredictedMasks {
  /** `u8[N,H,W]`: 0 or 1 for the binary tasks, class indices otherwise. */
  readonly masks: TensorOf<"u8">;
  /** Probability that a pixel sounds, `f32[N,H,W]`; for the binary tasks only. */
  readonly probabilities?: TensorOf<"f32"> | undefined;
}

/** Class probabilities over the whole frame. Class 0 is the background; a binary model has class 1 besides. */
export interface ProbabilityMap {
  readonly width: number;
  readonly height: number;
  /** Probabilities by class, `f32[height*width]` each. */
  readonly probabilities: ReadonlyMap<number, Float32Array>;
  /** Classes other than the background that are the likeliest somewhere: the only ones that masks can show. */
  readonly activeClasses: readonly number[];
}

/** Probability of a logit. */
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/**
 * Masks of logits `f32[N,K,H,W]`. For K = 1 a pixel is marked where its probability, rounded to single precision, is
 * above 0.5. Otherwise it belongs to the class with the largest logit, the lowest of equals.
 */
export function masksOf(logits: TensorOf<"f32">): PredictedMasks {
  const [frames = 0, classes = 1, ...size] = logits.shape;
  const shape = [frames, ...size];
  const pixels = sizeOf(size);
  const masks = new Uint8Array(sizeOf(shape));
  const decide = (frame: number, planes: readonly Float32Array[]) =>
    largestClass(planes, masks.subarray(frame * pixels, (frame + 1) * pixels));
  if (classes === 1) {
    const probabilities = logits.data.map(sigmoid);
    for (let n = 0; n < frames; n++) {
      const sounding = probabilities.subarray(n * pixels, (n + 1) * pixels);
      decide(n, [new Float32Array(pixels).fill(0.5), sounding]);
    }
    return {
      masks: { dtype: "u8", shape, data: masks },
      probabilities: { dtype: "f32", shape, data: probabilities },
    };
  }
  for (let n = 0; n < frames; n++) decide(n, planesOf(logits.data, { first: n * classes, classes, pixels }));
  return { masks: { dtype: "u8", shape, data: masks } };
}

/**
 * Probabilities of frame `frame` of logits `f32[T,K,H,W]`: sigmoid for K = 1, softmax over the classes otherwise.
 * Throws `TypeError` on another rank.
 */
export function probabilitiesOf(logits: TensorOf<"f32">, frame: number): ProbabilityMap {
  const [, classes, height, width] = logits.shape;
  if (classes === undefined || height === undefined || width === undefined) {
    throw new TypeError(`probabilities: expected logits f32[T,K,H,W], got f32[${logits.shape.join(",")}]`);
  }
  const pixels = height * width;
  const planes = planesOf(logits.data, { first: frame * classes, classes, pixels });
  const probabilities = classes === 1 ? planes.flatMap(withBackground) : softmax(planes);
  const likeliest = new Uint16Array(pixels);
  largestClass(probabilities, likeliest);
  const activeClasses = labelsIn(likeliest, probabilities.length).filter((index) => index !== 0);
  return { width, height, probabilities: new Map(probabilities.entries()), activeClasses };
}

/** The labels below `count` that occur, in ascending order. */
function labelsIn(labels: Uint16Array, count: number): number[] {
  const occurs = new Uint8Array(count);
  for (let i = 0; i < labels.length; i++) occurs[labels[i]!] = 1;
  return Array.from(occurs.keys()).filter((label) => occurs[label] === 1);
}

/** The planes `f32[H*W]` of `classes` classes, from plane `first` on. */
function planesOf(
  logits: Float32Array,
  { first, classes, pixels }: { first: number; classes: number; pixels: number },
): Float32Array[] {
  return Array.from({ length: classes }, (_, k) =>
    logits.subarray((first + k) * pixels, (first + k + 1) * pixels),
  );
}

/** The probabilities of both classes of a binary model. */
function withBackground(logits: Float32Array): Float32Array[] {
  const sounding = new Float32Array(logits.length);
  const background = new Float32Array(logits.length);
  for (let i = 0; i < logits.length; i++) {
    sounding[i] = sigmoid(f32At(logits, i));
    background[i] = 1 - f32At(sounding, i);
  }
  return [background, sounding];
}

/** Probabilities of the planes' classes at each pixel. */
function softmax(logits: readonly Float32Array[]): Float32Array[] {
  const planes = logits.map((plane) => plane.slice());
  const [first = new Float32Array()] = planes;
  const pixels = first.length;
  const largest = first.slice();
  const total = new Float32Array(pixels);
  for (const plane of planes)
    for (let i = 0; i < pixels; i++) largest[i] = Math.max(f32At(largest, i), f32At(plane, i));
  for (const plane of planes) {
    for (let i = 0; i < pixels; i++) {
      const power = Math.exp(f32At(plane, i) - f32At(largest, i));
      plane[i] = power;
      total[i] = f32At(total, i) + power;
    }
  }
  for (const plane of planes) for (let i = 0; i < pixels; i++) plane[i] = f32At(plane, i) / f32At(total, i);
  return planes;
}

/** Writes the class with the largest value at each pixel into `classes`, the lowest of equals. */
function largestClass(planes: readonly Float32Array[], classes: Uint8Array | Uint16Array): void {
  const [first = new Float32Array(), ...others] = planes;
  const largest = first.slice();
  classes.fill(0);
  for (const [k, plane] of others.entries()) {
    for (let i = 0; i < plane.length; i++) {
      const x = plane[i]!;
      if (x <= largest[i]!) continue;
      largest[i] = x;
      classes[i] = k + 1;
    }
  }
}
