/** What an opened model depends on beside the content of its files: options, code, runtime and processor. */
import { readdirSync, readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { env } from "onnxruntime-common";
import { packagePath } from "../../node/paths.js";
import { sha256Of } from "../../node/sha256.js";
import type { OpenPredictorOptions } from "../open-predictor.js";

/** Folders of code that decide what a model computes, beside this one's parent. */
const codeFolders = ["graph", "inference", "models", "nn", "runtime", "weights"];

let code: string | undefined;

/**
 * The hash of the code that makes models: builds of a checkout differ without a change of the version. Promises for 150
 * small files, and lists of names without types, take several times as long.
 */
function codeHash(): string {
  const source = packagePath("dist", "src");
  const files = codeFolders
    .flatMap((folder) => readdirSync(path.join(source, folder), { recursive: true, withFileTypes: true }))
    .filter(({ name }) => name.endsWith(".js") && !name.includes(".test."))
    .map(({ parentPath, name }) => path.join(parentPath, name))
    .sort();
  const parts = files.flatMap((file) => [Buffer.from(path.relative(source, file)), readFileSync(file)]);
  return sha256Of(Buffer.concat(parts));
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
      code,
      [runtimeVersion, provider, process.platform, os.arch(), name, flags],
      [config, hints, files, clipsPerRun, embedded],
    ]),
  );
}
