/** The engine in the tab: decodes and segments in this worker; the model runs in a worker of its own. */

import {
  audioEncoderName,
  externalDataName,
  type ModelFacts,
  pcaName,
  stepOf,
  visualEncoderName,
  withOtherSound,
} from "avseg/studio";
import { type Model, openModel, segmentVideo, type WebFile } from "avseg/web";
import { decodeSound } from "../media/decode-sound";
import { readPictures } from "../media/filmstrip";
import { probe } from "../media/probe";
import { readPeaks } from "../media/waveform";
import {
  type FromWorker,
  failureOf,
  type LiveWindow,
  type ModelSource,
  type SegmentRequest,
  type ToWorker,
} from "./messages";
import { type ShippedKind, shippedModels } from "./shipped-models";

let model: Promise<Model<WebFile>> | undefined;
const running = new Map<number, AbortController>();

const post = (message: FromWorker, transfer: Transferable[] = []): void => postMessage(message, { transfer });

addEventListener("message", ({ data }: MessageEvent<ToWorker>) => {
  if (data.kind === "cancel") {
    running.get(data.id)?.abort(new DOMException("canceled", "AbortError"));
    return;
  }
  const { id } = data;
  const stop = new AbortController();
  running.set(id, stop);
  work(data, stop.signal)
    .then(
      () => post({ kind: "done", id }),
      (error: unknown) => post({ kind: "failed", id, failure: failureOf(error) }),
    )
    .finally(() => running.delete(id));
});

async function work(message: Exclude<ToWorker, { kind: "cancel" }>, signal: AbortSignal): Promise<void> {
  const { id } = message;
  if (message.kind === "open") {
    await (await model?.catch(() => undefined))?.close();
    model = openSource(message.source, message.modelFolder, { id, signal });
    post({ kind: "opened", id, facts: await factsOf(await model) });
  } else if (message.kind === "probe") {
    post({ kind: "facts", id, facts: await probe(message.file) });
  } else if (message.kind === "pictures") {
    const onPicture = (index: number, picture: ImageBitmap): void => {
      post({ kind: "picture", id, index, picture }, [picture]);
    };
    await readPictures(message.file, message.times, { height: message.height, signal, onPicture });
  } else if (message.kind === "export") {
    const onProgress = (done: number, total: number | undefined): void => {
      post({ kind: "progress", id, done, total });
    };
    // Loaded when it is first needed.
    const { runExport } = await import("../export/run");
    post({ kind: "file", id, file: await runExport(message, { signal, onProgress }) });
  } else if (message.kind === "dataset") {
    const { saveDataset } = await import("../export/save-dataset");
    const file = await saveDataset(message);
    if (file) post({ kind: "file", id, file });
  } else if (message.kind === "peaks") {
    await readPeaks(message.file, message.durationSeconds, {
      signal,
      onPart: (peaks) => post({ kind: "peaks", id, peaks }),
    });
  } else {
    if (model === undefined) throw new Error("no model is open");
    const opened = await model;
    if (message.kind === "segment") await segment(opened, message, { id, signal });
    else await segmentLive(opened, message, { id, signal });
  }
}

interface Job {
  readonly id: number;
  readonly signal: AbortSignal;
}

function openSource(source: ModelSource, folder: string, { id, signal }: Job): Promise<Model<WebFile>> {
  const loaded = new Map<string, number>();
  const options = {
    signal,
    onProgress: ({ name, done }: { name: string; done: number }) => {
      loaded.set(name, done);
      const sum = [...loaded.values()].reduce((a, b) => a + b, 0);
      post({ kind: "progress", id, done: sum, total: undefined });
    },
  };
  const shipped = (kind: ShippedKind) => {
    const checkpoint = new URL(shippedModels[kind].file, folder);
    const encoders = {
      visual: new URL("visual.safetensors", checkpoint),
      audio: new URL("audio.safetensors", checkpoint),
    };
    return { checkpoint, encoders };
  };
  if (source.kind === "small" || source.kind === "natural") {
    return openModel({ ...shipped(source.kind), ...options });
  }
  if (source.kind !== "files") throw new Error("this model is opened by this computer's engine");
  const [checkpoint, ...others] = source.files;
  if (checkpoint === undefined) throw new Error("no model file was given");
  const { encoders } = shipped("small");
  const named = (pattern: RegExp): File | undefined => others.find(({ name }) => pattern.test(name));
  return openModel({
    checkpoint,
    externalData: named(externalDataName),
    encoders: {
      visual: named(visualEncoderName) ?? encoders.visual,
      audio: named(audioEncoderName) ?? encoders.audio,
      pca: named(pcaName),
    },
    ...options,
  });
}

/** Whether the library finds an adapter for WebGPU, which TypeScript's DOM types do not know. */
async function hasGpu(): Promise<boolean> {
  const gpu: unknown = Reflect.get(navigator, "gpu");
  if (typeof gpu !== "object" || gpu === null || !("requestAdapter" in gpu)) return false;
  if (typeof gpu.requestAdapter !== "function") return false;
  return Boolean(await Promise.resolve(gpu.requestAdapter()).catch(() => undefined));
}

async function factsOf({
  config,
  frameCount,
  imageSize,
  classes,
  trainedOn,
}: Model<WebFile>): Promise<ModelFacts> {
  const threads = globalThis.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1;
  const gpu = await hasGpu();
  return {
    task: config.task,
    classes: [...classes],
    imageSize,
    frameCount,
    trainedOn: trainedOn?.data,
    runsOn: gpu ? "WebGPU" : `WASM, ${threads} ${threads === 1 ? "thread" : "threads"}`,
  };
}

async function segment(
  opened: Model<WebFile>,
  { file, name, sound, endSeconds = Number.POSITIVE_INFINITY }: SegmentRequest,
  { id, signal }: Job,
): Promise<void> {
  const samples = sound.kind === "file" ? await decodeSound(sound.file, sound.name) : new Float32Array(0);
  const predictor = sound.kind === "own" ? opened : withOtherSound(opened, samples);
  const video = file instanceof File ? file : new File([file], name);
  const options = {
    signal,
    silenceGate: sound.kind === "own",
    onProgress: ({ done, total }: { done: number; total: number | undefined }) => {
      post({ kind: "progress", id, done, total: total && Math.min(total, endSeconds) });
    },
  };
  for await (const frame of segmentVideo(video, predictor, options)) {
    if (frame.timeSeconds > endSeconds) break;
    post({ kind: "step", id, step: stepOf(frame) });
  }
}

/** Segments a window and answers with its last second. */
async function segmentLive(opened: Model<WebFile>, window: LiveWindow, { id, signal }: Job): Promise<void> {
  const frames = window.pictures.map(({ width, height, data }) => ({
    dtype: "u8" as const,
    shape: [height, width, 4],
    data: new Uint8Array(data.buffer.slice(0)),
  }));
  const audio = { sampleRateHz: window.sampleRateHz, channels: [window.samples] };
  let last: ReturnType<typeof stepOf> | undefined;
  for await (const frame of opened.segment({ frames, audio }, { signal })) last = stepOf(frame);
  if (last) post({ kind: "step", id, step: last });
}
