/** Pictures of the last seconds, at a bounded rate. */

/** A picture and when it came, in seconds of `performance.now()`. */
interface Picture {
  readonly seconds: number;
  readonly image: ImageData;
}

/** Keeps pictures at most this often. */
const intervalSeconds = 0.2;

/** The pictures of the last seconds. */
export class PictureRing {
  readonly #keptSeconds: number;
  #pictures: Picture[] = [];

  constructor(keptSeconds: number) {
    this.#keptSeconds = keptSeconds;
  }

  /** Whether a picture at this time is wanted. */
  wants(seconds: number): boolean {
    return seconds - (this.#pictures.at(-1)?.seconds ?? Number.NEGATIVE_INFINITY) >= intervalSeconds;
  }

  push(image: ImageData, seconds: number): void {
    const isOfOneSize = this.#pictures.every(
      (p) => p.image.width === image.width && p.image.height === image.height,
    );
    // A turned phone changes the size: a window has pictures of one size only.
    if (!isOfOneSize) this.#pictures = [];
    this.#pictures.push({ image, seconds });
    this.#pictures = this.#pictures.filter((p) => seconds - p.seconds <= this.#keptSeconds);
  }

  /** The newest picture's time; `undefined` before the first. */
  get newestSeconds(): number | undefined {
    return this.#pictures.at(-1)?.seconds;
  }

  /** At most `count` pictures, oldest first: the newest, and the last ones at or before every full second earlier. */
  window(count: number): ImageData[] {
    const newest = this.newestSeconds;
    if (newest === undefined) return [];
    const images: ImageData[] = [];
    for (let back = 0; back < count; back++) {
      const picture = this.#pictures.findLast(({ seconds }) => seconds <= newest - back + 1e-6);
      if (!picture) break;
      images.unshift(picture.image);
    }
    return images;
  }
}
