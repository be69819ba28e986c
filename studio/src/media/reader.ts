/** Reads media files in a worker of their own, so that neither the page nor the model waits for them. */

import type { PicturesRequest, Work } from "../engine/messages";
import { type Request, WorkerClient } from "../engine/worker-client";
import type { ExportRequest } from "../export/requests";
import type { SaveDatasetRequest } from "../export/save-dataset";
import type { VideoFacts } from "./probe";
import type { Peaks } from "./waveform";

const worker = new WorkerClient();
/** Exports take long: they have a worker of their own, started with the first of them. */
let exports: WorkerClient | undefined;

/** What a file holds. Throws a sentence that says what is wrong with it and what to do. */
export async function factsOf(file: File): Promise<VideoFacts> {
  for await (const answer of worker.ask({ kind: "probe", file }, {})) {
    if (answer.kind === "facts") return answer.facts;
  }
  throw new Error(`${file.name}: nothing was read`);
}

/** The pictures of a file, as they are decoded. */
export async function* picturesOf(
  request: PicturesRequest,
  signal?: AbortSignal,
): AsyncGenerator<{ readonly index: number; readonly picture: ImageBitmap }, void, undefined> {
  for await (const answer of worker.ask({ kind: "pictures", ...request }, { signal })) {
    if (answer.kind === "picture") yield answer;
  }
}

/** The peaks of a file's sound, again and again as more of it is read. */
export async function* peaksOf(
  file: Blob,
  durationSeconds: number,
  signal: AbortSignal,
): AsyncGenerator<Peaks, void, undefined> {
  for await (const answer of worker.ask({ kind: "peaks", file, durationSeconds }, { signal })) {
    if (answer.kind === "peaks") yield answer.peaks;
  }
}

/** Makes a file of what was found. */
export async function exportFile(request: ExportRequest, work: Work): Promise<File> {
  const file = await fileOf({ kind: "export", ...request }, work);
  if (!file) throw new Error("nothing was exported");
  return file;
}

/** Makes a dataset of corrected masks: a zip, where the request has no folder for it. */
export function exportDataset(request: SaveDatasetRequest, work: Work): Promise<File | undefined> {
  return fileOf({ kind: "dataset", ...request }, work);
}

async function fileOf(request: Request, work: Work): Promise<File | undefined> {
  exports ??= new WorkerClient();
  let file: File | undefined;
  for await (const answer of exports.ask(request, work)) if (answer.kind === "file") file = answer.file;
  return file;
}
