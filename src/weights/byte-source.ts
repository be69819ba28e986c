/** Random access to the bytes of a weight file, so that a reader takes only what it needs from a large one. */
import { CheckpointError } from "../errors.js";
import { fileTensor } from "../file-tensor.js";
import { floatsOf } from "../half.js";
import { type Shape, sizeOf, type TensorOf } from "../tensor.js";
import { ELEMENTS, type ElementType } from "./elements.js";

/** A file on disk, a blob or bytes in memory. */
export interface ByteSource {
  /** Names the source in messages: a path or an address. */
  readonly name: string;
  /** Length in bytes. */
  readonly size: number;
  /**
   * A copy of `length` bytes from `offset`, at the start of a buffer of its own. The caller owns it and may view it as any
   * typed array. Throws `CheckpointError` beyond the end.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** A file on disk, which can also be read later. */
  readonly disk?: DiskFile | undefined;
}

/** A file on disk by its place, after its source is closed. */
export interface DiskFile {
  /** The folder, and the file's path from there. No link leads out of the folder. */
  readonly folder: string;
  readonly location: string;
  /** Reads at once. Throws `CheckpointError` where the file has become shorter or cannot be read. */
  readNow(offset: number, length: number): Uint8Array<ArrayBuffer>;
}

/** Options of operations that read or write whole files. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
  /** Leaves tensors of floats in a file on disk until they are used: see `fileTensor`. Default: false. */
  readonly inPlace?: boolean | undefined;
}

/** Types of elements that stay in a file. */
const placedTypes = ["f32", "f16", "bf16"] as const;

/** Where a tensor begins in a file on disk, and what it is there. */
export interface TensorPlace {
  readonly disk: DiskFile;
  readonly offset: number;
  readonly type: ElementType;
  readonly shape: Shape;
}

/** A tensor of floats in a file on disk, which are not read yet; `undefined` for other elements. */
export function tensorInPlace({ disk, offset, type, shape }: TensorPlace): TensorOf<"f32"> | undefined {
  const placed = placedTypes.find((name) => name === type);
  if (placed === undefined) return undefined;
  const { folder, location } = disk;
  const length = ELEMENTS[placed].bytes * sizeOf(shape);
  return fileTensor({
    shape,
    place: { folder, location, offset, length, halves: placed === "f32" ? undefined : placed },
    read: () => floatsOf(disk.readNow(offset, length), placed),
  });
}

/** Throws `CheckpointError` when `source` does not hold `length` bytes from `offset`. */
export function checkRange(source: { name: string; size: number }, offset: number, length: number): void {
  const sane = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (sane && offset + length <= source.size) return;
  throw new CheckpointError(
    `${source.name}: ${length} bytes expected at offset ${offset}, but the file has ${source.size}`,
    { hint: "The file is truncated or damaged. Get it again." },
  );
}

/** Bytes in memory as a source called `name`. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  const source = {
    name,
    size: bytes.length,
    read: async (offset: number, length: number) => {
      checkRange(source, offset, length);
      const copy = new Uint8Array(length);
      copy.set(bytes.subarray(offset, offset + length));
      return copy;
    },
  };
  return source;
}

/** A blob (a file chosen in a browser, a response) as a source called `name`. */
export function blobSource(name: string, blob: Blob): ByteSource {
  const source = {
    name,
    size: blob.size,
    read: async (offset: number, length: number) => {
      checkRange(source, offset, length);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
  };
  return source;
}
