/** What an opened model depends on beside the content of its files: options, code, runtime and processor. */
import { readdir, readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { env } from "onnxruntime-common";
import { packagePath } from "../../node/paths.js";
import { sha256Of } from "../../node/sha256.js";
import type { OpenPredictorOptions } from "../open-predictor.js";

/** Folders of code that decide what a model computes, beside this one's parent. */
const codeFolders = ["graph", "inference", "models", "nn", "runtime", "weights"];

let code: Promise<string> | undefined;

/** The hash of the code that makes models: builds of a checkout differ without a change of the version. */
async function codeHash(): Promise<string> {
  const source = packagePath("dist", "src");
  const lists = await Promise.all(
    codeFolders.map(async (folder) => {
      const names = await readdir(path.join(source, folder), { recursive: true });
      return names
        .filter((name) => name.endsWith(".js") && !name.includes(".test."))
        .map((name) => path.join(folder, name));
    }),
  );
  const names = lists.flat().sort();
  const contents = await Promise.all(names.map((name) => readFile(path.join(source, name))));
  return sha256Of(Buffer.concat(contents.flatMap((content, i) => [Buffer.from(`${names[i]} `), content])));
}

/** Where models run, in words. */
export async function processorOf(): Promise<{ readonly name: string; readonly flags: string }> {
  const info = await readFile("/proc/cpuinfo", "latin1").catch(() => "");
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1] ?? "";
  return { name: os.cpus()[0]?.model.trim() ?? os.arch(), flags };
}

/** The version of the runtime. */
export const runtimeVersion: string = `onnxruntime ${env.versions.common}`;

/** How a model is opened, as far as its optimized form depends on it. */
export interface ModelRequest
  extends Pick<OpenPredictorOptions, "config" | "hints" | "encoders" | "clipsPerRun"> {
  readonly provider: string;
  /** The audio encoder runs apart. */
  readonly embedded: boolean;
}

/** The hash of a request. */
export async function requestHash(request: ModelRequest): Promise<string> {
  const { config, hints, encoders, clipsPerRun = 1, provider, embedded } = request;
  code ??= codeHash();
  const { name, flags } = await processorOf();
  const parts = ["visual", "audio", "pca"] as const;
  const files = parts.map((part) => encoders?.[part] && path.resolve(encoders[part]));
  return sha256Of(
    JSON.stringify([
      await code,
      [runtimeVersion, provider, process.platform, os.arch(), name, flags],
      [config, hints, files, clipsPerRun, embedded],
    ]),
  );
}
