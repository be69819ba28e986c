/** Reading a media file whole, with a bound on its size and failures that name it. */
import { readFile, stat } from "node:fs/promises";
import { MediaError } from "../../errors.js";
import { errorCode, readFailure } from "../../node/system-error.js";

/** The largest number of pixels of an image; checked from the header, before anything is allocated. */
export const MAX_IMAGE_PIXELS = 64 * 2 ** 20;

/** A `MediaError` for a file that the system will not hand out. `kind` is what it should be: `image`, `video`. */
export function unreadable(error: unknown, path: string, kind: string): MediaError {
  const what =
    errorCode(error) === "ENOENT"
      ? `there is no such ${kind} file`
      : `cannot read the ${kind}: ${readFailure(error) ?? String(error)}`;
  return new MediaError(`${path}: ${what}`, { hint: "Check the path and its permissions.", cause: error });
}

/** Size in bytes of a file of at least one byte. Throws `MediaError` when it is missing, empty or no file. */
export async function inputSize(path: string, kind: string): Promise<number> {
  const status = await stat(path).catch((error: unknown) => {
    throw unreadable(error, path, kind);
  });
  const article = kind === "image" ? "an" : "a";
  if (!status.isFile()) {
    throw new MediaError(`${path}: expected ${article} ${kind} file, found a folder or a device`, {
      hint: "Check the path.",
    });
  }
  if (status.size === 0) {
    throw new MediaError(`${path}: the file is empty, expected ${article} ${kind}`, {
      hint: "Fetch or convert it again.",
    });
  }
  return status.size;
}

/** A file on disk by its path, or bytes in memory by the name that messages give them. */
export type InputFile = string | { readonly name: string; readonly bytes: Uint8Array };

/** What messages call a file. */
export function inputName(file: InputFile): string {
  return typeof file === "string" ? file : file.name;
}

/** The bytes of a file of at most `maxBytes`. Throws `MediaError` when it is missing, empty or larger. */
export async function readInput(file: InputFile, kind: string, maxBytes: number): Promise<Buffer> {
  const path = inputName(file);
  const size = typeof file === "string" ? await inputSize(file, kind) : file.bytes.length;
  if (size > maxBytes) {
    throw new MediaError(`${path}: ${size} bytes, expected at most ${maxBytes} for a file of this kind`, {
      hint: "Cut or convert it, or remove what names it.",
    });
  }
  if (typeof file !== "string") return Buffer.from(file.bytes.buffer, file.bytes.byteOffset, size);
  return readFile(path).catch((error: unknown) => {
    throw unreadable(error, path, kind);
  });
}
