/** A zip file that is written as its files come. */
import { Zip, ZipPassThrough } from "fflate";
import { createOutputFile } from "./output-file";

/** A zip file. */
export interface Archive {
  add(name: string, content: Uint8Array<ArrayBuffer> | string): Promise<void>;
  finish(): Promise<File>;
  discard(): Promise<void>;
}

/** Starts a zip file. What goes in is compressed already, or small. */
export async function createArchive(name: string): Promise<Archive> {
  const out = await createOutputFile(name);
  let position = 0;
  let written = Promise.resolve();
  const zip = new Zip((error, data) => {
    if (error) throw error;
    const [piece, at] = [new Uint8Array(data), position];
    written = written.then(() => out.write(piece, at));
    position += data.length;
  });
  return {
    add: (path, content) => {
      const entry = new ZipPassThrough(path);
      // A fixed time, so that equal content is an equal file.
      entry.mtime = new Date(2000, 0, 1);
      zip.add(entry);
      entry.push(typeof content === "string" ? new TextEncoder().encode(content) : content, true);
      return written;
    },
    finish: async () => {
      zip.end();
      await written;
      return out.finish("application/zip");
    },
    discard: () => out.discard(),
  };
}

/** A zip file that `fill` puts files into; it is thrown away where that fails. */
export async function fillArchive(name: string, fill: (zip: Archive) => Promise<void>): Promise<File> {
  const zip = await createArchive(name);
  try {
    await fill(zip);
    return await zip.finish();
  } catch (error) {
    await zip.discard().catch(() => undefined);
    throw error;
  }
}
