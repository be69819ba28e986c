/**
 * Sessions whose weights lie in files that are mapped into memory. The memory of weights that ONNX Runtime repacks is
 * then free at once, where weights in memory would exist up to three times while a session is made.
 */
import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import type { InferenceSession } from "onnxruntime-common";
import { cacheDir } from "../../node/cache-dir.js";
import { removeStale, temporaryPath } from "../../node/files.js";
import type { CreateRequest, SessionFactory } from "../answer-requests.js";
import { discard } from "../discard.js";
import type { Piece } from "../external-data.js";
import { withSessionSettings } from "../ort-tensors.js";
import { minMappedBytes, type WeightFile } from "../protocol.js";
import { movedPieces } from "./moved-weights.js";

/** What sessions are made with. */
export interface SessionMaker {
  readonly sessions: SessionFactory;
  readonly options: InferenceSession.SessionOptions;
}

/**
 * Makes a session of a model whose weights lie in files, or are written to a temporary one, which is removed at once:
 * its content lives as long as the session. `undefined` where the weights are few, or the file cannot be written.
 */
export async function mappedSession(
  request: CreateRequest,
  maker: SessionMaker,
): Promise<InferenceSession | undefined> {
  if (request.folder !== undefined) return sessionIn(request.folder, request, maker);
  const pieces = request.weightFiles.flatMap((file) => file.pieces);
  const lengths = [
    ...pieces.map(({ data }) => data.length),
    ...request.weightFiles.flatMap(({ moved = [] }) => moved.map(({ length }) => length)),
  ];
  if (lengths.reduce((n, length) => n + length, 0) < minMappedBytes) return undefined;
  const folder = await writeWeights(request.weightFiles);
  if (folder === undefined) return undefined;
  discard(pieces.map(({ data }) => data.buffer));
  await setTimeout(0); // the memory is free once the event loop has closed the ports
  try {
    return await sessionIn(folder, request, maker);
  } finally {
    await remove(folder);
  }
}

/** A session of a model whose weights lie in `folder`. */
function sessionIn(
  folder: string,
  { model }: CreateRequest,
  { sessions, options }: SessionMaker,
): Promise<InferenceSession> {
  return sessions.create(
    model,
    withSessionSettings(options, { model_external_initializers_file_folder_path: folder }),
  );
}

/** Writes files of weights into a new folder; `undefined` where that is impossible, e.g. on a full disk. */
async function writeWeights(files: readonly WeightFile[]): Promise<string | undefined> {
  const parent = path.join(cacheDir(), "sessions");
  const folder = temporaryPath(parent);
  try {
    await mkdir(folder, { recursive: true });
    await removeStale(parent);
    for (const file of files) await writeWeightFile(path.join(folder, file.path), file);
    return folder;
  } catch {
    await remove(folder);
    return undefined;
  }
}

async function writeWeightFile(target: string, { pieces, moved = [] }: WeightFile): Promise<void> {
  const handle = await open(target, "wx");
  try {
    for (const piece of pieces) await writePiece(handle, piece);
    for (const weights of moved) {
      for await (const piece of movedPieces(weights)) await writePiece(handle, piece);
    }
  } finally {
    await handle.close();
  }
}

async function writePiece(file: FileHandle, { offset, data }: Piece): Promise<void> {
  for (let done = 0; done < data.length; ) {
    const length = Math.min(1 << 28, data.length - done); // one call writes 2 GiB at most
    done += (await file.write(data, done, length, offset + done)).bytesWritten;
  }
}

/** Removes a folder. Windows keeps files that are mapped; those are removed with the stale ones of a later session. */
async function remove(folder: string): Promise<void> {
  await rm(folder, { recursive: true, force: true }).catch(() => undefined);
}
