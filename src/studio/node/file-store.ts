/** The files that the server may read: those of the command line, and uploads in a folder of its own. */
import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdtemp, rm, stat, symlink } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { MediaError } from "../../errors.js";
import type { ServerFile } from "../protocol.js";
import { RequestError } from "./requests.js";

/** The largest upload, and the sum of all. */
const maxUploadBytes = 8 * 2 ** 30;
const maxUploads = 100;

/** A file with its path, which stays on the server. */
interface StoredFile extends ServerFile {
  readonly path: string;
}

/** Files by id. */
export class FileStore {
  readonly #files = new Map<string, StoredFile>();
  readonly #folder: string;
  #uploads = 0;
  #uploadedBytes = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens the files of the command line. Throws `MediaError` where one is missing. */
  static async open(paths: readonly string[]): Promise<FileStore> {
    const store = new FileStore(await mkdtemp(path.join(os.tmpdir(), "avseg-studio-")));
    try {
      for (const file of paths) {
        const status = await stat(file).catch(() => undefined);
        if (!status?.isFile())
          throw new MediaError(`${file}: there is no such file`, { hint: "Check the path." });
        store.#add({ name: path.basename(file), path: path.resolve(file), bytes: status.size });
      }
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** The files of the command line, for the app. */
  list(): ServerFile[] {
    return [...this.#files.values()]
      .filter((file) => !file.path.startsWith(this.#folder))
      .map(({ id, name, bytes }) => ({ id, name, bytes }));
  }

  /** The path of a file. Throws `RequestError` for an unknown id. */
  pathOf(id: string): string {
    const file = this.#files.get(id);
    if (!file) throw new RequestError(404, "there is no such file", "Open it again.");
    return file.path;
  }

  /** The name of a file. Throws `RequestError` for an unknown id. */
  nameOf(id: string): string {
    this.pathOf(id);
    return this.#files.get(id)?.name ?? "";
  }

  /**
   * The paths of files that belong together, in one folder and under their own names, as a model and its external data
   * must lie. Throws `RequestError` for an unknown id.
   */
  async together(ids: readonly string[]): Promise<string[]> {
    const folder = await mkdtemp(path.join(this.#folder, "model-"));
    const paths: string[] = [];
    for (const id of ids) {
      const source = this.pathOf(id);
      // Names come from the page: a link's name is one part of a path, and never an existing one.
      const name = path.basename(this.nameOf(id)).replace(/[^\w.-]/g, "_");
      const link = path.join(folder, name === "" || name.startsWith(".") ? `model${name}` : name);
      await symlink(source, link);
      paths.push(link);
    }
    return paths;
  }

  /** Takes an upload. Throws `RequestError` where it is too large or there are too many. */
  async upload(name: string, content: Readable, announcedBytes: number): Promise<ServerFile> {
    const tooLarge = () =>
      new RequestError(
        413,
        `uploads of more than ${maxUploadBytes / 2 ** 30} GB`,
        "Open the file with `avseg studio FILE`.",
      );
    if (!(announcedBytes >= 0)) throw new RequestError(411, "an upload without its length");
    if (this.#uploadedBytes + announcedBytes > maxUploadBytes) throw tooLarge();
    if (this.#uploads >= maxUploads)
      throw new RequestError(429, "too many uploads", "Start the studio again.");
    this.#uploads++;
    this.#uploadedBytes += announcedBytes;
    // The extension helps to tell formats apart; nothing else of the name is used on the disk.
    const extension = /\.[a-z0-9]{1,12}$/i.exec(name)?.[0] ?? "";
    const target = path.join(this.#folder, `${randomUUID()}${extension}`);
    let received = 0;
    try {
      await pipeline(
        content,
        async function* bounded(source: AsyncIterable<Buffer>) {
          for await (const piece of source) {
            received += piece.length;
            if (received > announcedBytes) throw tooLarge();
            yield piece;
          }
        },
        createWriteStream(target, { flags: "wx" }),
      );
    } catch (error) {
      this.#uploadedBytes -= announcedBytes;
      this.#uploads--;
      await rm(target, { force: true });
      throw error;
    }
    return this.#add({ name: path.basename(name), path: target, bytes: received });
  }

  /** Adds a file that `write` makes; it counts as an upload. Throws `RequestError` where there are too many. */
  async add(name: string, write: (target: string) => Promise<void>): Promise<ServerFile> {
    if (this.#uploads >= maxUploads)
      throw new RequestError(429, "too many uploads", "Start the studio again.");
    this.#uploads++;
    const target = path.join(this.#folder, randomUUID());
    try {
      await write(target);
    } catch (error) {
      this.#uploads--;
      await rm(target, { force: true });
      throw error;
    }
    return this.#add({ name, path: target, bytes: (await stat(target)).size });
  }

  /** Removes the uploads. */
  close(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  #add(file: Omit<StoredFile, "id">): ServerFile {
    const id = randomUUID();
    this.#files.set(id, { id, ...file });
    return { id, name: file.name, bytes: file.bytes };
  }
}
