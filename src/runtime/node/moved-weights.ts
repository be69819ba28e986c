/** Weights that a session takes from other files, a few megabytes at a time. */
import { open } from "node:fs/promises";
import path from "node:path";
import { floatsOf } from "../../half.js";
import type { CreateRequest } from "../answer-requests.js";
import type { MovedWeights, Piece } from "../external-data.js";

const pieceBytes = 1 << 22;

/** The weights as 32-bit floats, in pieces at their places in the new file. Throws `Error` where they cannot be read. */
export async function* movedPieces({ offset, from }: MovedWeights): AsyncGenerator<Piece, void, undefined> {
  const file = path.join(from.folder, from.location);
  const type = from.halves ?? "f32";
  const widening = type === "f32" ? 1 : 2;
  const handle = await open(file, "r");
  try {
    for (let done = 0; done < from.length; ) {
      const bytes = new Uint8Array(Math.min(pieceBytes, from.length - done));
      for (let filled = 0; filled < bytes.length; ) {
        const at = from.offset + done + filled;
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, at);
        if (bytesRead === 0) throw new Error(`${file}: the file became shorter while it was in use`);
        filled += bytesRead;
      }
      yield { offset: offset + widening * done, data: new Uint8Array(floatsOf(bytes, type).buffer) };
      done += bytes.length;
    }
  } finally {
    await handle.close();
  }
}

/** The request with all weights in memory. */
export async function withWeightsInMemory(request: CreateRequest): Promise<CreateRequest> {
  const weightFiles = request.weightFiles.map(async (file) => {
    const pieces = [...file.pieces];
    for (const moved of file.moved ?? []) for await (const piece of movedPieces(moved)) pieces.push(piece);
    return { path: file.path, pieces };
  });
  return { ...request, weightFiles: await Promise.all(weightFiles) };
}
