/** Masks written into a folder while more are made. */
import { type FileHandle, open, writeFile } from "node:fs/promises";
import path from "node:path";
import type { Cancellable } from "../../media/video.js";
import { syncDir } from "../../node/files.js";
import { cocoAnnotations } from "../coco-rle.js";
import { type FrameRecord, type MaskFormat, recordOf } from "../segments-json.js";
import type { SegmentedFrame } from "../step-stream.js";

/** The folder of PNG masks within the results. */
export const maskFolder = "masks";
/** The file of run lengths within the results. */
export const rleFile = "masks.json";

/** Masks that are encoded at the same time. */
const atOnce = 3;

/** Settings of `MaskFiles`. */
export interface MaskFilesOptions extends Cancellable {
  readonly format: MaskFormat;
  /** Names of the labels by index. */
  readonly labelNames: readonly string[];
}

/** Writes masks and keeps their records. */
export class MaskFiles {
  readonly #dir: string;
  readonly #options: MaskFilesOptions;
  readonly #pending = new Set<Promise<void>>();
  readonly #records: FrameRecord[] = [];
  #rle: Promise<FileHandle> | undefined;
  #annotations = 0;
  #size: { width: number; height: number } | undefined;

  /** Masks go to `<dir>/masks/<index>.png` or `<dir>/masks.json`. */
  constructor(dir: string, options: MaskFilesOptions) {
    this.#dir = dir;
    this.#options = options;
  }

  /** Records of the masks so far, in order. */
  get records(): readonly FrameRecord[] {
    return this.#records;
  }

  /** Starts to write a mask, once not too many are being written. Throws when an earlier one could not be written. */
  async write(frame: SegmentedFrame): Promise<void> {
    const { format } = this.#options;
    const file = format === "png" ? `${maskFolder}/${String(frame.index).padStart(6, "0")}.png` : null;
    this.#records.push(recordOf(frame, file));
    if (format === "rle") await this.#append(frame);
    if (file === null) return;
    const written = this.#encode(frame, path.join(this.#dir, file));
    written.catch(() => undefined); // thrown when it is waited for
    this.#pending.add(written);
    if (this.#pending.size >= atOnce) await this.#oldest();
  }

  /** Waits until all masks are written. */
  async finish(): Promise<void> {
    while (this.#pending.size > 0) await this.#oldest();
    if (this.#options.format === "png") await syncDir(path.join(this.#dir, maskFolder));
    if (this.#options.format !== "rle" || this.#records.length === 0) return;
    const file = await this.#file();
    const images = this.#records.map(({ index, time }) => JSON.stringify({ id: index, ...this.#size, time }));
    await file.write(`\n],\n"images": [\n${images.join(",\n")}\n]}\n`);
    await this.#close();
  }

  /** Waits until nothing is being written; nothing is completed. Never throws. */
  async settle(): Promise<void> {
    await Promise.allSettled([...this.#pending, this.#close()]);
  }

  async #close(): Promise<void> {
    const file = this.#rle;
    this.#rle = undefined;
    await (await file)?.close();
  }

  async #oldest(): Promise<void> {
    for (const written of this.#pending) {
      this.#pending.delete(written);
      return written;
    }
  }

  async #encode({ mask }: SegmentedFrame, file: string): Promise<void> {
    const { maskToPng } = await import("./mask-png.js"); // loads sharp, which other formats do without
    const png = await maskToPng(mask);
    this.#options.signal?.throwIfAborted();
    // Results are published by renaming their folder, so that files in it need no temporary names.
    await writeFile(file, png, { flag: "wx", flush: true });
  }

  async #file(): Promise<FileHandle> {
    if (this.#rle) return this.#rle;
    this.#rle = open(path.join(this.#dir, rleFile), "w");
    const categories = this.#options.labelNames.flatMap((name, id) => (id > 0 ? [{ id, name }] : []));
    await (await this.#rle).write(`{"categories": ${JSON.stringify(categories)},\n"annotations": [`);
    return this.#rle;
  }

  /** Adds the annotations of one mask: a region each. */
  async #append({ index, mask }: SegmentedFrame): Promise<void> {
    this.#size ??= { width: mask.width, height: mask.height };
    const file = await this.#file();
    const annotations = cocoAnnotations({ index, mask }, this.#annotations + 1);
    const lines = annotations.map((one) => `${one.id > 1 ? "," : ""}\n${JSON.stringify(one)}`);
    this.#annotations += annotations.length;
    if (lines.length > 0) await file.write(lines.join(""));
  }
}
