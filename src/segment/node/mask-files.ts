/** Masks written into a folder while more are made. */
import path from "node:path";
import type { Cancellable } from "../../media/video.js";
import { writeFileAtomic } from "../../node/files.js";
import { type FrameRecord, recordOf } from "../segments-json.js";
import type { SegmentedFrame } from "../step-stream.js";
import { maskToPng } from "./mask-png.js";

/** Masks that are encoded at the same time. */
const atOnce = 3;

/** Writes masks and keeps their records. */
export class MaskFiles {
  readonly #dir: string;
  readonly #subfolder: string;
  readonly #options: Cancellable;
  readonly #pending = new Set<Promise<void>>();
  readonly #records: FrameRecord[] = [];

  /** Masks go to `<dir>/<subfolder>/<index>.png`. */
  constructor(dir: string, subfolder: string, options: Cancellable) {
    this.#dir = dir;
    this.#subfolder = subfolder;
    this.#options = options;
  }

  /** Records of the masks so far, in order. */
  get records(): readonly FrameRecord[] {
    return this.#records;
  }

  /** Starts to write a mask, once not too many are being written. Throws when an earlier one could not be written. */
  async write(frame: SegmentedFrame): Promise<void> {
    const file = `${this.#subfolder}/${String(frame.index).padStart(6, "0")}.png`;
    this.#records.push(recordOf(frame, file));
    const written = this.#encode(frame, path.join(this.#dir, file));
    written.catch(() => undefined); // thrown when it is waited for
    this.#pending.add(written);
    if (this.#pending.size >= atOnce) await this.#oldest();
  }

  /** Waits until all masks are written. */
  async finish(): Promise<void> {
    while (this.#pending.size > 0) await this.#oldest();
  }

  async #oldest(): Promise<void> {
    for (const written of this.#pending) {
      this.#pending.delete(written);
      return written;
    }
  }

  async #encode({ mask }: SegmentedFrame, file: string): Promise<void> {
    await writeFileAtomic(file, await maskToPng(mask), this.#options);
  }
}
