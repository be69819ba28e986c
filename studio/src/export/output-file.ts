/** A file on the browser's own disk: exports may be larger than memory. */

/** A file that is being written. */
export interface OutputFile {
  write(data: Uint8Array<ArrayBuffer>, position: number): Promise<void>;
  /** Ends writing and gives the file. */
  finish(type: string): Promise<File>;
  /** Throws it away. */
  discard(): Promise<void>;
}

/** Creates a file, in place of an earlier one with its name. */
export async function createOutputFile(name: string): Promise<OutputFile> {
  const folder = await navigator.storage.getDirectory();
  // An earlier export with this name may still be saved from: each file has a name of its own.
  const stored = `${crypto.randomUUID()}-${name}`;
  const handle = await folder.getFileHandle(stored, { create: true });
  const writable = await handle.createWritable();
  return {
    write: (data, position) => writable.write({ type: "write", data, position }),
    finish: async (type) => {
      await writable.close();
      return new File([await handle.getFile()], name, { type });
    },
    discard: async () => {
      await writable.abort();
      await folder.removeEntry(stored);
    },
  };
}
