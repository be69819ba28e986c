/**
 * Augmentation: every epoch trains on other variants of the clips. The draws depend on the seed, the epoch and a clip's
 * position in it only, so that a resumed run, and one of several processes, has the same bits.
 */
import type { AugmentSettings } from "../config/augment-schema.js";
import type { Clip, ClipEntry } from "../datasets/clip.js";
import type { BatchOptions, ClipLoader } from "../datasets/loader.js";
import { crop, resizeBilinear, resizeNearest } from "../media/resize.js";
import { hashText, Random } from "../random.js";
import { sizeOf, type TensorOf } from "../tensor.js";
import type { ClipSource } from "./trainer-options.js";

/** What `augmentClip` needs of the dataset. */
export interface AugmentSource {
  readonly entries: readonly ClipEntry[];
  load(index: number): Promise<Clip>;
}

/** The clips of a loader, augmented. Without augmentation: the loader itself. */
export function augmentedClips(
  loader: ClipLoader,
  { entries, settings, seed }: { entries: readonly ClipEntry[]; settings: AugmentSettings; seed: number },
): ClipSource {
  if (Object.values(settings).every((value) => value === 0)) return loader;
  const source = { entries, load: (index: number) => loader.load(index) };
  return {
    length: loader.length,
    batchCount: (options) => loader.batchCount(options),
    async *batches(options: BatchOptions & { readonly epoch: number; readonly startBatch: number }) {
      const { epoch, batchSize, startBatch, range } = options;
      const order = loader.order(options);
      let start = startBatch * batchSize;
      for await (const clips of loader.batches(options)) {
        const count = Math.min(batchSize, loader.length - start);
        const first = start + (range?.(count).start ?? 0);
        yield await Promise.all(
          clips.map((clip, i) => {
            const random = new Random(seed, hashText("augment"), epoch, first + i);
            return augmentClip(clip, { settings, source, random, index: order[first + i] ?? 0 });
          }),
        );
        start += batchSize;
      }
    },
  };
}

interface AugmentOptions {
  readonly settings: AugmentSettings;
  readonly source: AugmentSource;
  readonly random: Random;
  /** The clip's own index. */
  readonly index: number;
}

/** One variant of a clip. The clip itself stays as it is: loaders keep it. */
export async function augmentClip(
  clip: Clip,
  { settings, source, random, index }: AugmentOptions,
): Promise<Clip> {
  const happens = (chance: number) => random.uniform() < chance;
  /** Another clip, of the same category or of another one; `undefined` if the dataset has no other. */
  const partner = (isSame: boolean): Promise<Clip> | undefined => {
    const found = source.entries.flatMap(({ category }, i) =>
      i !== index && (category === clip.category) === isSame ? [i] : [],
    );
    return found.length === 0 ? undefined : source.load(random.pick(found));
  };
  let out = clip;
  if (happens(settings.swapSound)) {
    const other = await partner(true);
    // The masks stay right only where both sound.
    if (other && soundsThroughout(clip) && soundsThroughout(other)) {
      out = { ...out, sound: other.sound, logMel: other.logMel };
    }
  }
  if (happens(settings.mixSound)) {
    const [other, decibels] = [await partner(false), random.uniform(-18, -6)];
    if (other) out = withSound(out, { other, gain: 10 ** (decibels / 20) });
  }
  if (settings.gain > 0) {
    out = withSound(out, { own: 10 ** (random.uniform(-settings.gain, settings.gain) / 20) });
  }
  if (settings.noise > 0) out = withSound(out, { noise: random.uniform(0, settings.noise), random });
  if (happens(settings.mixPicture)) {
    const [other, isLeft] = [await partner(false), random.uniform() < 0.5];
    if (other) out = withHalf(out, other, isLeft);
  }
  if (settings.crop > 0) out = cropped(out, settings.crop, random);
  if (happens(settings.flip)) out = { ...out, frames: mirrored(out.frames), masks: mirrored(out.masks) };
  if (settings.color > 0) out = { ...out, frames: recolored(out.frames, settings.color, random) };
  return out;
}

/** Whether every labeled frame has an object that sounds. */
function soundsThroughout({ masks, labeled }: Clip): boolean {
  const pixels = sizeOf(masks.shape.slice(1));
  return labeled.every((_, i) => masks.data.subarray(i * pixels, (i + 1) * pixels).some((x) => x > 0));
}

interface SoundChange {
  /** Factor of the clip's own sound. Default: 1. */
  readonly own?: number;
  /** A clip whose sound is added, `gain` times. */
  readonly other?: Clip;
  readonly gain?: number;
  /** Standard deviation of white noise that is added. */
  readonly noise?: number;
  readonly random?: Random;
}

/** A clip with another sound, in the form that it has. Log-mels are logarithms of magnitudes, which add up roughly. */
function withSound(clip: Clip, { own = 1, other, gain = 0, noise = 0, random }: SoundChange): Clip {
  const changed = (
    { data, shape }: TensorOf<"f32">,
    added: TensorOf<"f32"> | undefined,
    form: { from: (x: number) => number; to: (x: number) => number; draw: () => number },
  ): TensorOf<"f32"> => ({
    dtype: "f32",
    shape,
    data: data.map((x, i) =>
      form.to(own * form.from(x) + (added ? gain * form.from(added.data[i] ?? 0) : 0) + noise * form.draw()),
    ),
  });
  const offset = 0.01; // of VGGish's logarithm
  const draw = () => random?.normal() ?? 0;
  const mel = {
    from: (x: number) => Math.exp(x) - offset,
    to: (x: number) => Math.log(Math.max(0, x) + offset),
    draw: () => Math.abs(draw()),
  };
  const wave = { from: (x: number) => x, to: (x: number) => x, draw };
  return {
    ...clip,
    logMel: clip.logMel && changed(clip.logMel, other?.logMel, mel),
    sound: clip.sound && changed(clip.sound, other?.sound, wave),
  };
}

type Picture = TensorOf<"u8">;

/** Every image `[N,H,W,...]` of a tensor changed; all results have the same shape. */
function eachImage({ data, shape }: Picture, change: (image: Picture) => Picture): Picture {
  const [count = 0, ...rest] = shape;
  const imageShape = rest.length === 2 ? [...rest, 1] : rest;
  const size = sizeOf(rest);
  const out = new Uint8Array(data.length);
  for (let i = 0; i < count; i++) {
    const image = data.subarray(i * size, (i + 1) * size);
    out.set(change({ dtype: "u8", shape: imageShape, data: image }).data, i * size);
  }
  return { dtype: "u8", shape, data: out };
}

/** Images mirrored left to right. */
function mirrored(images: Picture): Picture {
  return eachImage(images, ({ data, shape }) => {
    const [height = 0, width = 0, channels = 1] = shape;
    const out = new Uint8Array(data.length);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const from = (row * width + column) * channels;
        const to = (row * width + width - 1 - column) * channels;
        for (let c = 0; c < channels; c++) out[to + c] = data[from + c] ?? 0;
      }
    }
    return { dtype: "u8", shape, data: out };
  });
}

/** The same part of all frames and masks, up to `most` of each side smaller, at the old size. */
function cropped(clip: Clip, most: number, random: Random): Clip {
  const side = 1 - random.uniform(0, most);
  const [top, left] = [random.uniform(0, 1 - side), random.uniform(0, 1 - side)];
  const part = (images: Picture, resize: typeof resizeBilinear): Picture =>
    eachImage(images, (image) => {
      const [height = 0, width = 0] = image.shape;
      const area = {
        top: Math.floor(top * height),
        left: Math.floor(left * width),
        height: Math.max(1, Math.floor(side * height)),
        width: Math.max(1, Math.floor(side * width)),
      };
      return resize(crop(image, area), height, width);
    });
  return { ...clip, frames: part(clip.frames, resizeBilinear), masks: part(clip.masks, resizeNearest) };
}

/** Frames with brightness, contrast and saturation changed by up to the fraction `most`. */
function recolored({ data, shape }: Picture, most: number, random: Random): Picture {
  const factor = () => random.uniform(1 - most, 1 + most);
  const [brightness, contrast, saturation] = [factor(), factor(), factor()];
  const out = new Uint8Array(data.length);
  for (let i = 0; i < data.length; i += 3) {
    const [red = 0, green = 0, blue = 0] = data.subarray(i, i + 3);
    const gray = (red + green + blue) / 3;
    for (const [c, value] of [red, green, blue].entries()) {
      const colored = gray + saturation * (value - gray);
      out[i + c] = Math.max(0, Math.min(255, Math.round(128 + contrast * (brightness * colored - 128))));
    }
  }
  return { dtype: "u8", shape, data: out };
}

/** The left or right half of the pictures replaced by another clip's, in which nothing sounds then. */
function withHalf(clip: Clip, other: Clip, isLeft: boolean): Clip {
  const joined = (own: Picture, from: Picture | undefined): Picture => {
    const [, , width = 0, channels = 1] = own.shape;
    const half = Math.floor(width / 2);
    const start = isLeft ? 0 : half;
    const end = isLeft ? half : width;
    const out = own.data.slice();
    const rows = own.data.length / (width * channels);
    for (let row = 0; row < rows; row++) {
      const [a, b] = [(row * width + start) * channels, (row * width + end) * channels];
      if (from) out.set(from.data.subarray(a, b), a);
      else out.fill(0, a, b);
    }
    return { dtype: "u8", shape: own.shape, data: out };
  };
  return { ...clip, frames: joined(clip.frames, other.frames), masks: joined(clip.masks, undefined) };
}
