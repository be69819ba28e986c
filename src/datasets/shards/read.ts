/** Clips out of shards: ranges of tar files, on a disk or over HTTP, where broken answers are continued. */
import { open } from "node:fs/promises";
import { Parser } from "tar";
import { CheckpointError, DatasetError } from "../../errors.js";
import { sha256Of } from "../../node/sha256.js";
import { readFailure } from "../../node/system-error.js";
import { type Connections, messageOf, RetryableError, requestFile } from "../../weights/hub/http.js";
import { requireUsable, retrying, retryOf } from "../../weights/hub/retry.js";
import { headersFor, withoutCredentials } from "../../weights/hub/source.js";
import type { ShardRange } from "./format.js";

/** Whether a shard or index is read over HTTP. */
export function isAddress(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

/** The files of a clip by part, e.g. `frame0.png`. Throws `DatasetError` when they cannot be read or are damaged. */
export async function readShardClip(range: ShardRange): Promise<Map<string, Uint8Array>> {
  const { source, offset, bytes: length, sha256 } = range;
  const bytes = isAddress(source) ? await readOverHttp(range) : await readFromDisk(range);
  const found = sha256Of(bytes);
  if (!found.startsWith(sha256)) {
    throw new DatasetError(
      `${withoutCredentials(source)}: bytes ${offset} to ${offset + length - 1} have the SHA-256 ${found.slice(0, 16)}, expected ${sha256}`,
      { hint: "The shard is damaged, or not of the same dataset as its index. Copy both again." },
    );
  }
  return unpack(bytes);
}

/** The entries of a part of a tar file, by what follows the first dot of their names. */
async function unpack(bytes: Uint8Array): Promise<Map<string, Uint8Array>> {
  const parts = new Map<string, Uint8Array>();
  const parser = new Parser({
    onReadEntry: (entry) => {
      const pieces: Buffer[] = [];
      entry.on("data", (piece: Buffer) => pieces.push(piece));
      entry.on("end", () => parts.set(entry.path.replace(/^[^.]*\./, ""), Buffer.concat(pieces)));
    },
  });
  await new Promise<void>((resolve, reject) => {
    parser.on("end", resolve);
    parser.on("error", reject);
    parser.write(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    parser.end(Buffer.alloc(1024)); // what ends a whole tar file
  });
  return parts;
}

async function readFromDisk({ source, offset, bytes: length }: ShardRange): Promise<Uint8Array> {
  const hint = "Check that the shards lie beside their index, and that the disk is readable.";
  try {
    const file = await open(source);
    try {
      const bytes = Buffer.alloc(length);
      const { bytesRead } = await file.read(bytes, 0, length, offset);
      if (bytesRead === length) return bytes;
      throw new DatasetError(`${source}: it ends before byte ${offset + length}`, { hint });
    } finally {
      await file.close();
    }
  } catch (error) {
    const reason = readFailure(error);
    if (reason === undefined) throw error;
    throw new DatasetError(`cannot read ${source}: ${reason}`, { hint, cause: error });
  }
}

/** Connections of this thread, kept between clips. */
const connections: Connections = new Map();

async function readOverHttp({ source, offset, bytes: length }: ShardRange): Promise<Uint8Array> {
  const bytes = Buffer.alloc(length);
  let done = 0;
  const attempt = async (): Promise<void> => {
    const from = offset + done;
    const range = `bytes=${from}-${offset + length - 1}`;
    const headers = { ...headersFor(source, process.env), range };
    const { response } = await requestFile(source, { headers, env: process.env, connections });
    try {
      const retry = retryOf(response);
      if (retry !== undefined) throw retry;
      requireUsable(response, { url: source, page: source });
      const [, start] = /^bytes (\d+)-/.exec([response.headers["content-range"] ?? ""].flat().join()) ?? [];
      if (response.statusCode !== 206 || Number(start) !== from) {
        throw new CheckpointError("the server does not send parts of files (HTTP ranges)", {
          hint: "Serve the shards by a server that does, such as nginx or an object store.",
        });
      }
      const chunks = response.body[Symbol.asyncIterator]();
      while (done < length) {
        const next: IteratorResult<Uint8Array> = await chunks.next().catch((cause: unknown) => {
          throw new RetryableError(`the connection broke (${messageOf(cause)})`, { cause });
        });
        if (next.done) throw new RetryableError(`the connection ended after ${done} of ${length} bytes`);
        bytes.set(next.value.subarray(0, length - done), done);
        done += Math.min(next.value.length, length - done);
      }
    } finally {
      response.body.destroy();
    }
  };
  await overHttp(source, () =>
    retrying(attempt, { what: withoutCredentials(source), arrived: async () => done }),
  );
  return bytes;
}

/** The content of a small file over HTTP; `undefined` where the server has none. Throws `DatasetError`. */
export async function readSmall(url: string, maxBytes: number): Promise<string | undefined> {
  const attempt = async (): Promise<string | undefined> => {
    const { response } = await requestFile(url, {
      headers: headersFor(url, process.env),
      env: process.env,
      connections,
    });
    try {
      const retry = retryOf(response);
      if (retry !== undefined) throw retry;
      if (response.statusCode === 404) return undefined;
      requireUsable(response, { url, page: url });
      const parts: Uint8Array[] = [];
      let size = 0;
      for await (const chunk of response.body) {
        parts.push(chunk);
        size += parts.at(-1)?.length ?? 0;
        if (size > maxBytes) {
          throw new CheckpointError(`${url}: expected at most ${maxBytes} bytes`, {
            hint: "Check the address.",
          });
        }
      }
      const announced = Number(response.headers["content-length"] ?? size);
      if (announced !== size)
        throw new RetryableError(`the connection ended after ${size} of ${announced} bytes`);
      return Buffer.concat(parts).toString("utf8");
    } catch (error) {
      if (error instanceof CheckpointError || error instanceof RetryableError) throw error;
      throw new RetryableError(messageOf(error), { cause: error });
    } finally {
      response.body.destroy();
    }
  };
  return overHttp(url, () => retrying(attempt, { what: withoutCredentials(url) }));
}

/** Failures of downloads as those of datasets. */
async function overHttp<T>(source: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const address = withoutCredentials(source);
    const message = error.message.includes(address) ? error.message : `${address}: ${error.message}`;
    const isOwnHint = error.hint !== undefined && !error.hint.includes("--from");
    throw new DatasetError(message, {
      hint: isOwnHint ? error.hint : "Check the address and the network, and run the same command again.",
      cause: error,
    });
  }
}
