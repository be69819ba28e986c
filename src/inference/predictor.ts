/** The narrow waist between models and what uses them: clips in, logits out. */
import type { SoundForm, SoundInputs } from "../media/sound-inputs.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import { asF32, sizeOf, type Tensor, type TensorOf } from "../tensor.js";
import type { WeightFile } from "../weights/checkpoint.js";

/** A batch of B clips of T steps, frames of all clips in one leading axis. */
export interface ClipBatch extends SoundInputs {
  /** `u8[B*T,H,W,3]`, RGB. */
  readonly frames: TensorOf<"u8">;
  /** `f32[B*T]`, 0 for padded frames. */
  readonly frameMask: TensorOf<"f32">;
}

/** What a model takes of a batch's sound: `sound` for models that take waves, else `logMel`. Throws `RangeError` without it. */
export function soundOf(config: AvsModelConfig, { logMel, sound }: SoundInputs): TensorOf<"f32"> {
  const isWave = soundFormOf(config) === "wave";
  const taken = isWave ? sound : logMel;
  if (taken !== undefined) return taken;
  throw new RangeError(
    isWave
      ? "predict: this model takes waves; the batch has no `sound`"
      : "predict: this model takes log-mels; the batch has no `logMel`",
  );
}

/** The same, by the name of the model's input. Throws `RangeError` without it. */
export function soundFeeds(
  config: AvsModelConfig,
  sounds: SoundInputs,
): Readonly<Record<string, TensorOf<"f32">>> {
  return { [soundFormOf(config) === "wave" ? "sound" : "logMel"]: soundOf(config, sounds) };
}

/** A model ready to run. Close it to free its sessions. */
export interface Predictor {
  /** Steps per clip, T. */
  readonly frameCount: number;
  /** Side of the square frames the model takes, in pixels. */
  readonly imageSize: number;
  /** Side of the square logits, in pixels. */
  readonly maskSize: number;
  /** Class names, as many as there are logits: one for the binary tasks. */
  readonly classes: readonly string[];
  /** Clips that the model computes at once; more are computed in turn. */
  readonly clipsPerRun: number;
  /** What it takes of a sound. Default: `log-mel`. */
  readonly soundForm?: SoundForm | undefined;
  /** `f32[B*T,K,H,W]` logits; K = 1 for the binary tasks. Throws `RangeError` when the frames are not whole clips. */
  predict(batch: ClipBatch): Promise<TensorOf<"f32">>;
  close(): Promise<void>;
}

/** A predictor with what it is made of. */
export interface LoadedPredictor extends Predictor {
  readonly config: AvsModelConfig;
  /** Where its encoders came from, by state-dict prefix; empty where one file holds everything. */
  readonly files: Readonly<Record<string, WeightFile>>;
  /** What the model was trained on, where its file says so. */
  readonly trainedOn?: TrainingOrigin | undefined;
}

/** Where a model's training is recorded: the task, the name of its data, epochs trained, the best one. */
export interface TrainingOrigin {
  readonly task: string;
  readonly data: string;
  readonly description?: string | undefined;
  readonly epochs: number;
  readonly best?: { readonly epoch: number; readonly value: number } | undefined;
}

/** Where a model is written as the runtime has optimized it, and from how many bytes of weights on. */
export interface KeepOptions {
  /** A new folder: see `SessionSource`. */
  readonly folder: string;
  readonly minBytes: number;
}

/** What `batchedPredictor` is made of. */
export interface BatchedPredictorOptions {
  readonly config: Pick<AvsModelConfig, "frameCount" | "imageSize" | "classes">;
  /** Side of the logits. Default: that of the frames. */
  readonly maskSize?: number | undefined;
  /** What `run` takes of a sound. Default: `log-mel`. */
  readonly soundForm?: SoundForm | undefined;
  /** Clips that `run` takes. */
  readonly clipsPerRun: number;
  /** Logits of exactly `clipsPerRun` clips; `undefined` is a fault of the model. */
  readonly run: (batch: ClipBatch) => Promise<Tensor | undefined>;
  readonly close: () => Promise<void>;
}

/**
 * A predictor for any number of clips over a model that takes `clipsPerRun`. The last run is filled up with copies of
 * the last clip.
 */
export function batchedPredictor({
  config,
  maskSize,
  soundForm,
  clipsPerRun,
  run,
  close,
}: BatchedPredictorOptions): Predictor {
  const { frameCount, imageSize, classes } = config;
  return {
    frameCount,
    imageSize,
    maskSize: maskSize ?? imageSize,
    classes,
    clipsPerRun,
    soundForm,
    async predict(batch) {
      const clips = countClips(batch, frameCount);
      const parts: TensorOf<"f32">[] = [];
      for (let first = 0; first < clips; first += clipsPerRun) {
        const logits = await run(clipsOf(batch, { first, count: clipsPerRun, frameCount }));
        if (logits === undefined) throw new Error("predict: the model gave no logits");
        parts.push(asF32(logits, "logits"));
      }
      return joinLogits(parts, clips * frameCount);
    },
    close,
  };
}

/** The number of clips of `frameCount` frames in a batch. Throws `RangeError` when its frames are not whole clips. */
function countClips({ frames }: ClipBatch, frameCount: number): number {
  const count = frames.shape[0] ?? 0;
  const clips = count / frameCount;
  if (Number.isInteger(clips) && clips >= 1) return clips;
  throw new RangeError(`predict: ${count} frames are not whole clips of ${frameCount}`);
}

/** Clips `first` to `first + count` of a batch; beyond its end the last clip is repeated. */
function clipsOf(
  batch: ClipBatch,
  { first, count, frameCount }: { first: number; count: number; frameCount: number },
): ClipBatch {
  const clips = countClips(batch, frameCount);
  if (first === 0 && clips === count) return batch;
  const indices = Array.from({ length: count }, (_, i) => Math.min(first + i, clips - 1));
  const picked = <T extends Uint8Array<ArrayBuffer> | Float32Array<ArrayBuffer>>(
    { data, shape }: Pick<Tensor, "shape"> & { readonly data: T },
    out: T,
  ) => {
    const size = frameCount * sizeOf(shape.slice(1));
    indices.forEach((clip, i) => {
      out.set(data.subarray(clip * size, (clip + 1) * size), i * size);
    });
    return { shape: [count * frameCount, ...shape.slice(1)], data: out };
  };
  const { frames, logMel, frameMask, sound } = batch;
  const length = ({ shape }: Pick<Tensor, "shape">) => count * frameCount * sizeOf(shape.slice(1));
  return {
    frames: { dtype: "u8", ...picked(frames, new Uint8Array(length(frames))) },
    frameMask: { dtype: "f32", ...picked(frameMask, new Float32Array(length(frameMask))) },
    ...(logMel && { logMel: { dtype: "f32", ...picked(logMel, new Float32Array(length(logMel))) } }),
    ...(sound && { sound: soundsOf(sound, indices) }),
  };
}

/** The sounds `f32[B,S]` of some clips. */
function soundsOf({ data, shape }: TensorOf<"f32">, clips: readonly number[]): TensorOf<"f32"> {
  const samples = shape[1] ?? 0;
  const out = new Float32Array(clips.length * samples);
  for (const [i, clip] of clips.entries()) {
    out.set(data.subarray(clip * samples, (clip + 1) * samples), i * samples);
  }
  return { dtype: "f32", shape: [clips.length, samples], data: out };
}

/** Logits of several runs in one tensor of `frames` frames. */
function joinLogits(parts: readonly TensorOf<"f32">[], frames: number): TensorOf<"f32"> {
  const [first] = parts;
  if (first === undefined) throw new RangeError("predict: no clips");
  const rest = first.shape.slice(1);
  const size = frames * sizeOf(rest);
  if (parts.length === 1 && first.data.length === size) return first;
  const data = new Float32Array(size);
  let at = 0;
  for (const part of parts) {
    data.set(part.data.subarray(0, size - at), at);
    at += part.data.length;
  }
  return { dtype: "f32", shape: [frames, ...rest], data };
}
