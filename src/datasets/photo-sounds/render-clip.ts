/** PhotoSounds clips in memory: pixels, masks and sound of a `PhotoClipSpec`. */
import { at, u8At } from "../../arrays.js";
import { type ImageTensor, imageSize } from "../../media/resize.js";
import { Random } from "../../random.js";
import type { TensorOf } from "../../tensor.js";
import { stepFrame, videoFramesPerSecond } from "../generated/schedule.js";
import { allSides, type Catalog, classNames, packagesOf, readCatalog, type Side } from "./catalog.js";
import { type Outlines, PictureStore, readOutlines } from "./pictures.js";
import { type PhotoClipPlan, type PhotoClipSpec, planPhotoClip, planPhotograph } from "./plan.js";
import { PhotoSceneRenderer } from "./render.js";
import { drawScene } from "./scene.js";
import { mixSound, RecordingStore } from "./sound.js";
import { openPackages, type PackageFiles } from "./sources/packages.js";

/** A rendered clip of T steps at H x W pixels. */
export interface RenderedPhotoClip {
  readonly plan: PhotoClipPlan;
  /** `u8[T,H,W,3]` */
  readonly frames: TensorOf<"u8">;
  /** The visible object, sounding or not: 0 for none, `i + 1` for object `i`; `u8[T,H,W]`. */
  readonly objects: TensorOf<"u8">;
  /** Ground truth, the objects that sound: 1 (S4, MS3) or the label of the class (AVSS); `u8[T,H,W]`. */
  readonly masks: TensorOf<"u8">;
  /** The sound, 44.1 kHz mono, T seconds, within -1 to 1. */
  readonly samples: Float32Array<ArrayBuffer>;
}

/** Where the sources of a studio are. */
export interface StudioOptions {
  /** The folder with the unpacked packages. Default: they are installed. */
  readonly sources?: string | undefined;
  /** Sides whose clips are rendered: only packages that these use are needed. Default: all. */
  readonly sides?: readonly Side[] | undefined;
  /** Default: the shipped catalog. */
  readonly catalog?: Catalog | undefined;
  /** Default: packages on disk. */
  readonly files?: PackageFiles | undefined;
  /** Default: the shipped ones. */
  readonly outlines?: Outlines | undefined;
}

/** Composes clips of the packages' pictures and recordings, which it keeps decoded. */
export class PhotoStudio {
  readonly catalog: Catalog;
  /** Class names of AVSS by label, background first. */
  readonly classes: readonly string[];
  readonly #pictures: PictureStore;
  readonly #recordings: RecordingStore;

  private constructor(catalog: Catalog, pictures: PictureStore, recordings: RecordingStore) {
    this.catalog = catalog;
    this.classes = classNames(catalog);
    this.#pictures = pictures;
    this.#recordings = recordings;
  }

  /** Opens catalog and packages. Throws `DatasetError` that names missing packages and how to get them. */
  static async open(options: StudioOptions = {}): Promise<PhotoStudio> {
    const catalog = options.catalog ?? (await readCatalog());
    const names = packagesOf(catalog, options.sides ?? allSides);
    const files = options.files ?? openPackages(names, options.sources);
    const outlines = options.outlines ?? (await readOutlines());
    return new PhotoStudio(catalog, new PictureStore(files, outlines), new RecordingStore(files));
  }

  /** Renders the steps and the sound of a clip. Throws `DatasetError` or `MediaError` for a source that cannot be read. */
  async render(spec: PhotoClipSpec): Promise<RenderedPhotoClip> {
    const plan = this.#plan(spec);
    const draw = await this.#drawing(plan, spec);
    const labels = plan.objects.map(({ picture }) =>
      spec.task === "avss" ? this.classes.indexOf(picture.class) : 1,
    );
    const { stepCount } = plan;
    const size = spec.imageSize;
    const frames = new Uint8Array(stepCount * size * size * 3);
    const objects = new Uint8Array(stepCount * size * size);
    const masks = new Uint8Array(stepCount * size * size);
    for (let step = 0; step < stepCount; step++) {
      const [from, to] = [step * size * size, (step + 1) * size * size];
      const visible = objects.subarray(from, to);
      const image = frames.subarray(3 * from, 3 * to);
      draw(stepFrame(step, videoFramesPerSecond) / videoFramesPerSecond, { image, objects: visible });
      const values = [0, ...labels.map((label, i) => (plan.sounding[step]?.[i] ? label : 0))];
      for (let i = from; i < to; i++) masks[i] = at(values, u8At(objects, i));
    }
    return {
      plan,
      frames: { dtype: "u8", shape: [stepCount, size, size, 3], data: frames },
      objects: { dtype: "u8", shape: [stepCount, size, size], data: objects },
      masks: { dtype: "u8", shape: [stepCount, size, size], data: masks },
      samples: await mixSound(plan, this.#recordings),
    };
  }

  /** All frames of the clip as a video, in order, `u8[H,W,3]` each. Every frame is a new array. */
  async *renderVideo(spec: PhotoClipSpec): AsyncGenerator<Uint8Array<ArrayBuffer>> {
    const plan = this.#plan(spec);
    const draw = await this.#drawing(plan, spec);
    const pixels = spec.imageSize ** 2;
    const objects = new Uint8Array(pixels);
    for (let i = 0; i < plan.stepCount * videoFramesPerSecond; i++) {
      const image = new Uint8Array(3 * pixels);
      draw(i / videoFramesPerSecond, { image, objects });
      yield image;
    }
  }

  #plan(spec: PhotoClipSpec): PhotoClipPlan {
    if (!spec.photograph) return planPhotoClip(spec, this.catalog);
    const { recordings, pictures } = this.catalog;
    const photographs = pictures.filter((picture) => this.#pictures.hasOutline(picture));
    return planPhotograph(spec, { recordings, photographs });
  }

  async #drawing(plan: PhotoClipPlan, { imageSize }: PhotoClipSpec): Promise<DrawFrame> {
    return plan.background === undefined
      ? this.#still(plan, imageSize)
      : this.#scene(plan, { imageSize, background: await this.#pictures.background(plan.background) });
  }

  /** A photograph as it is, at any time. */
  async #still({ objects: planned }: PhotoClipPlan, imageSize: number): Promise<DrawFrame> {
    const [shown] = planned;
    if (shown === undefined) throw new RangeError("photo-sounds: a clip without a photograph");
    const { data } = await this.#pictures.photograph(shown.picture, imageSize);
    return (_, { image, objects }) => {
      for (let i = 0; i < objects.length; i++) {
        image.set(data.subarray(4 * i, 4 * i + 3), 3 * i);
        objects[i] = u8At(data, 4 * i + 3) >= 128 ? 1 : 0;
      }
    };
  }

  /** The objects as they move over the background. */
  async #scene(
    plan: PhotoClipPlan,
    { imageSize: side, background }: { readonly imageSize: number; readonly background: ImageTensor },
  ): Promise<DrawFrame> {
    const objects = await Promise.all(
      plan.objects.map(async ({ picture }) => ({ picture, cutOut: await this.#pictures.cutOut(picture) })),
    );
    const cutOuts = objects.map(({ cutOut }) => cutOut);
    const bodies = objects.map(({ picture, cutOut }) => {
      const { height, width } = imageSize(cutOut);
      const moves = this.catalog.classes.get(picture.class)?.moves ?? "still";
      return { aspect: width / height, moves };
    });
    const { stepCount: durationSeconds, near } = plan;
    const scene = drawScene(new Random(plan.key, 2), { bodies, durationSeconds, near });
    const renderer = await PhotoSceneRenderer.create(scene, side, { background, cutOuts });
    return (seconds, out) => renderer.render(seconds, plan.key, out);
  }
}

/** Draws the frame of a time: its pixels `u8[H,W,3]`, and the visible objects `u8[H,W]`, as in `RenderedPhotoClip`. */
type DrawFrame = (seconds: number, out: { readonly image: Uint8Array; readonly objects: Uint8Array }) => void;
