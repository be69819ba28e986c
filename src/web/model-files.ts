/** The files of models in a browser. */
import { CheckpointError } from "../errors.js";
import { readOnnx } from "../graph/onnx/read.js";
import type { ModelFiles } from "../inference/weight-sources.js";
import { blobSource } from "../weights/byte-source.js";
import { detectContainer } from "../weights/detect.js";
import { readStateDict } from "../weights/state-dict.js";
import { blobOf, type DownloadOptions, type WebFile } from "./web-file.js";

/** Options of `webFiles`. */
export interface WebFilesOptions extends DownloadOptions {
  /** The files by name. What is fetched is kept there. */
  readonly files: Map<string, WebFile>;
  /** The file with the weights of an ONNX model, where it is given. Default: the file beside `address`. */
  readonly externalData?: WebFile | undefined;
  /** The model's address, where it was given by one. */
  readonly address?: URL | undefined;
}

/** Reads the files that are given by name, and those beside an address. */
export function webFiles({ files, externalData, address, ...options }: WebFilesOptions): ModelFiles {
  const fetched = async (name: string, file: WebFile): Promise<Blob> => {
    const blob = await blobOf(file, CheckpointError, options);
    files.set(name, blob);
    return blob;
  };
  const given = async (name: string): Promise<Blob> => {
    const file = files.get(name);
    if (file !== undefined) return fetched(name, file);
    throw new CheckpointError(`${name}: the checkpoint was trained on this encoder and does not hold it`, {
      hint: "Give it under `encoders`, or export the model to ONNX, which holds everything.",
    });
  };
  const beside = async (name: string, of: string): Promise<Blob> => {
    if (externalData !== undefined) return fetched(name, externalData);
    if (address !== undefined) return fetched(name, new URL(name, address));
    throw new CheckpointError(`${of}: its weights lie in another file, ${name}`, {
      hint: "Give that as `externalData`, or export the model again without --external-data.",
    });
  };
  return {
    locate: async (name) => name,
    container: async (name) => detectContainer(blobSource(name, await given(name))),
    weights: async (name) => readStateDict(blobSource(name, await given(name)), { signal: options.signal }),
    onnx: async (name) => ({
      onnx: readOnnx(await bytesOf(await given(name)), name),
      beside: async (file) => bytesOf(await beside(file, name)),
    }),
    bytesBeside: async (name, of) => bytesOf(await beside(name, of)),
    sha256: async (name) => sha256(await given(name), name),
  };
}

async function bytesOf(blob: Blob): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await blob.arrayBuffer());
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
