/** Segmenting by this computer's own runtime and ffmpeg, for the app. */
import { setTimeout } from "node:timers/promises";
import type { LoadModelOptions } from "../../inference/load-model.js";
import { findWeightFile } from "../../inference/node/model-files.js";
import { openPredictor } from "../../inference/node/open-predictor.js";
import type { LoadedPredictor } from "../../inference/predictor.js";
import { VGGISH_RATE_HZ } from "../../media/log-mel.js";
import { probeVideo } from "../../media/node/probe-video.js";
import { readMonoSound } from "../../media/node/read-video.js";
import type { RuntimeOptions } from "../../runtime/runtime.js";
import { segmentVideo } from "../../segment/node/segment-video.js";
import { DEMO_MODEL } from "../../segment/node/shipped-models.js";
import { type ModelFacts, type SegmentLine, toWire } from "../protocol.js";
import { stepOf } from "../step.js";
import { withOtherSound } from "../swapped-sound.js";
import { RequestError } from "./requests.js";

/** Which model to open, with its encoders. */
export type ModelToOpen = Pick<LoadModelOptions, "checkpoint" | "encoders" | "hints">;

/** What to segment: paths of files. */
export interface NativeSegmentOptions {
  readonly video: string;
  /** A path, or what stands for it. */
  readonly sound: { readonly kind: "own" | "silence" } | { readonly kind: "file"; readonly path: string };
  readonly endSeconds?: number | undefined;
  readonly signal: AbortSignal;
}

/** Another sound is read up to this length. */
const maxSoundSeconds = 600;

/** How long a request waits for the video before it: that its page has left it may be known only then. */
const graceMs = 2000;

/** A video that is being segmented. */
interface Running {
  readonly signal: AbortSignal;
  readonly ended: Promise<void>;
}

/** One model at a time, and one video at a time. */
export class NativeEngine {
  readonly #provider: NonNullable<RuntimeOptions["provider"]>;
  #model: Promise<LoadedPredictor> | undefined;
  #running: Running | undefined;

  constructor(provider: NonNullable<RuntimeOptions["provider"]>) {
    this.#provider = provider;
  }

  /** Opens a checkpoint in place of the present one. Default: the small model. Throws `CheckpointError`. */
  async open(model: ModelToOpen = { checkpoint: DEMO_MODEL.file }): Promise<ModelFacts> {
    await this.#free(new RequestError(409, "a video is being segmented", "Stop it first."));
    await this.close();
    const runtime = { provider: this.#provider };
    this.#model = findWeightFile(model.checkpoint).then((checkpoint) =>
      openPredictor({ ...model, checkpoint, runtime }),
    );
    try {
      const { config, classes, imageSize, frameCount, trainedOn } = await this.#model;
      return {
        task: config.task,
        classes: [...classes],
        imageSize,
        frameCount,
        trainedOn: trainedOn?.data,
        runsOn: `this computer, ${this.#provider === "cpu" ? "CPU" : this.#provider}`,
      };
    } catch (error) {
      this.#model = undefined;
      throw error;
    }
  }

  /** Segments a video; every line is one message of the protocol. Throws `RequestError` while another is at work. */
  async *segment(options: NativeSegmentOptions): AsyncGenerator<SegmentLine, void, undefined> {
    await this.#free(new RequestError(429, "another video is being segmented", "Stop it first."));
    if (!this.#model) await this.open();
    const { sound, signal, endSeconds = Number.POSITIVE_INFINITY } = options;
    let end = (): void => undefined;
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    this.#running = { signal, ended };
    try {
      const model = await this.#model;
      if (!model) throw new RequestError(409, "no model is open", "Choose a model.");
      const samples = sound.kind === "file" ? await soundOf(sound.path, signal) : new Float32Array(0);
      const predictor = sound.kind === "own" ? model : withOtherSound(model, samples);
      const { durationSeconds } = await probeVideo(options.video, { signal });
      const total = durationSeconds && Math.min(durationSeconds, endSeconds);
      for await (const frame of segmentVideo(options.video, predictor, {
        signal,
        silenceGate: sound.kind === "own",
      })) {
        if (frame.timeSeconds > endSeconds) break;
        yield { kind: "step", step: toWire(stepOf(frame)) };
        yield { kind: "progress", done: Math.min(frame.timeSeconds + 1 / 16, endSeconds), total };
      }
      yield { kind: "done" };
    } finally {
      this.#running = undefined;
      end();
    }
  }

  /** Waits for a video whose page has left it; throws `refusal` while another is at work. */
  async #free(refusal: RequestError): Promise<void> {
    const { signal, ended } = this.#running ?? {};
    if (!signal) return;
    const left = new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
    const grace = setTimeout(graceMs, undefined, { ref: false });
    if (!signal.aborted) await Promise.race([ended, left, grace]);
    if (signal.aborted) await ended;
    if (this.#running) throw refusal;
  }

  /** Frees the model. */
  async close(): Promise<void> {
    const model = await this.#model?.catch(() => undefined);
    this.#model = undefined;
    await model?.close();
  }
}

/** 16 kHz mono of any file with sound and picture. */
async function soundOf(file: string, signal: AbortSignal): Promise<Float32Array> {
  const info = await probeVideo(file, { signal });
  if (!info.audioTrack)
    throw new RequestError(400, "the other file has no sound", "Choose a file with sound.");
  const samples = new Float32Array(maxSoundSeconds * VGGISH_RATE_HZ);
  let at = 0;
  for await (const piece of readMonoSound(info, { sampleRateHz: VGGISH_RATE_HZ, signal })) {
    const part = piece.subarray(0, samples.length - at);
    samples.set(part, at);
    at += part.length;
    if (at === samples.length) break;
  }
  return samples.subarray(0, at);
}
