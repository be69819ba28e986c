/** Weight files in a browser. */
import { CheckpointError } from "../errors.js";
import type { WeightReader } from "../inference/assemble-weights.js";
import { blobSource } from "../weights/byte-source.js";
import { readStateDict } from "../weights/state-dict.js";
import { blobOf, type DownloadOptions, type WebFile } from "./web-file.js";

/**
 * Reads weight files among `files`, by name, and keeps there what it fetched. Throws `CheckpointError` for a name that
 * is not among them.
 */
export function webWeightReader(files: Map<string, WebFile>, options: DownloadOptions = {}): WeightReader {
  return async (name) => {
    const file = files.get(name);
    if (file === undefined) {
      throw new CheckpointError(`${name}: the checkpoint was trained on this encoder and does not hold it`, {
        hint: "Give it under `encoders`, or export the model to ONNX, which holds all.",
      });
    }
    const blob = await blobOf(file, CheckpointError, options);
    files.set(name, blob);
    const { tensors, metadata } = await readStateDict(
      blobSource(name, blob),
      options.signal ? { signal: options.signal } : {},
    );
    return { tensors, metadata, sha256: () => sha256(blob, name) };
  };
}

async function sha256(blob: Blob, name: string): Promise<string> {
  if (globalThis.isSecureContext === false) {
    throw new CheckpointError(`${name}: its hash cannot be checked on a page that is not secure`, {
      hint: "Serve the page over https or from localhost.",
    });
  }
  const digest = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
