/** Which files a model is made of, found out while they are read. */
import path from "node:path";
import { withFileSource } from "../../weights/node/file-source.js";
import { readShardIndex } from "../../weights/shards.js";
import type { ModelFiles } from "../weight-sources.js";
import { type FileStamp, stampOf } from "./cached-model.js";

/** Files, and what was read of them. */
export interface TracedFiles {
  readonly files: ModelFiles;
  /** The files that were read, as they were before, in that order. */
  readonly sources: { readonly path: string; readonly stamp: FileStamp }[];
  /** Files that were looked for and are missing. */
  readonly absent: string[];
}

/** `files` that record what is read. */
export function traced(files: ModelFiles): TracedFiles {
  const sources: TracedFiles["sources"] = [];
  const absent: string[] = [];
  const note = async (name: string): Promise<void> => {
    const file = path.resolve(name);
    const stamp = await stampOf(file);
    if (stamp === undefined) absent.push(file);
    else if (!sources.some((source) => source.path === file)) sources.push({ path: file, stamp });
  };
  const noteWeights = async (name: string): Promise<void> => {
    await note(name);
    if (!/\.index\.json$/.test(name)) return;
    for (const shard of (await withFileSource(name, readShardIndex)).keys()) {
      await note(path.join(path.dirname(name), shard));
    }
  };
  return {
    sources,
    absent,
    files: {
      ...files,
      weights: async (name) => {
        await noteWeights(name);
        return files.weights(name);
      },
      onnx: async (name) => {
        await note(name);
        const file = await files.onnx(name);
        return {
          ...file,
          beside: async (other) => {
            await note(path.join(path.dirname(name), other));
            return file.beside(other);
          },
        };
      },
      bytesBeside: async (name, of) => {
        await note(path.join(path.dirname(of), name));
        return files.bytesBeside(name, of);
      },
    },
  };
}
