/** The videos that a user names: folders, lists, single files, or paths on standard input. */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { createInterface } from "node:readline";
import { MediaError } from "../errors.js";
import { isVideoName } from "../media/video-names.js";
import { readFailure } from "../node/system-error.js";

/** Where `findVideos` looks. */
export interface FindOptions {
  /** A folder that is left out, because results lie in it. */
  readonly except: string;
  /** Standard input, for the source `-`. */
  readonly stdin?: NodeJS.ReadableStream | undefined;
}

/**
 * Absolute paths of the videos of a source: a folder with its subfolders (files by their extension, in the order of their
 * names, hidden ones left out), a video file, a text file with a path per line, or `-` for such lines on standard input.
 * Paths are relative to the working directory. Throws `MediaError` for a source that cannot be read.
 */
export async function* findVideos(
  source: string,
  { except, stdin = process.stdin }: FindOptions,
): AsyncGenerator<string, void, undefined> {
  if (source === "-") {
    yield* lines(stdin);
    return;
  }
  const status = await stat(source).catch((error: unknown) => {
    throw unreadableSource(source, error);
  });
  if (status.isDirectory()) yield* walk(path.resolve(source), path.resolve(except));
  else if (isVideoName(source)) yield path.resolve(source);
  else yield* lines(createReadStream(source, "utf8"));
}

async function* lines(stream: NodeJS.ReadableStream): AsyncGenerator<string, void, undefined> {
  for await (const line of createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() !== "") yield path.resolve(line);
  }
}

async function* walk(folder: string, except: string): AsyncGenerator<string, void, undefined> {
  if (folder === except) return;
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw unreadableSource(folder, error);
  });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    if (entry.name.startsWith(".")) continue;
    const file = path.join(folder, entry.name);
    // A linked file is a video of the folder; a linked folder might lead in a circle.
    if (entry.isDirectory()) yield* walk(file, except);
    else if (isVideoName(entry.name)) yield file;
  }
}

function unreadableSource(source: string, cause: unknown): MediaError {
  return new MediaError(`${source}: cannot be read: ${readFailure(cause) ?? String(cause)}`, {
    hint: "Give a folder of videos, a video, a text file with a path per line, or - for paths on standard input.",
    cause,
  });
}
