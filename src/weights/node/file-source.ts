/** Files on disk as byte sources. */
import { closeSync, openSync, readSync } from "node:fs";
import { type FileHandle, open, realpath, stat } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../../errors.js";
import { readFailure } from "../../node/system-error.js";
import { type ByteSource, checkRange, type DiskFile } from "../byte-source.js";

/** One read takes less than 2 GiB; smaller pieces also let other work in between. */
const pieceBytes = 1 << 26;

/**
 * Opens `file` for `use` and closes it afterwards. Throws `CheckpointError` when it cannot be opened or read, or is
 * not a regular file (a pipe or device would never end).
 */
export async function withFileSource<T>(file: string, use: (source: ByteSource) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined;
  try {
    const status = await stat(file); // before opening: that alone would wait for the writer of a pipe
    if (!status.isFile()) {
      const what = status.isDirectory() ? "a folder" : "a pipe or a device";
      throw new CheckpointError(`cannot read ${file}: it is ${what}`, { hint: "Check the path." });
    }
    handle = await open(file, "r");
    const disk = diskFile(file, await realpath(file));
    return await use({ ...handleSource(file, handle, status.size), disk });
  } catch (error) {
    const reason = readFailure(error);
    if (reason === undefined) throw error;
    throw new CheckpointError(`cannot read ${file}: ${reason}`, { hint: "Check the path.", cause: error });
  } finally {
    await handle?.close();
  }
}

/** The file `name` by its real path, from the root of the file system. */
function diskFile(name: string, real: string): DiskFile {
  const { root: folder } = path.parse(real);
  return {
    folder,
    location: path.relative(folder, real),
    readNow(offset, length) {
      const bytes = new Uint8Array(length);
      const file = openSync(real, "r");
      try {
        for (let done = 0; done < length; ) {
          const wanted = Math.min(pieceBytes, length - done);
          const read = readSync(file, bytes, done, wanted, offset + done);
          if (read === 0) throw new CheckpointError(`${name}: the file became shorter while it was in use`);
          done += read;
        }
      } finally {
        closeSync(file);
      }
      return bytes;
    },
  };
}

function handleSource(name: string, handle: FileHandle, size: number): ByteSource {
  const source = {
    name,
    size,
    read: async (offset: number, length: number) => {
      checkRange(source, offset, length);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const wanted = Math.min(pieceBytes, length - done);
        const { bytesRead } = await handle.read(bytes, done, wanted, offset + done);
        if (bytesRead === 0) {
          throw new CheckpointError(`${name}: the file became shorter while it was read`);
        }
        done += bytesRead;
      }
      return bytes;
    },
  };
  return source;
}
