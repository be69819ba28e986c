/** The interface of datasets: clips, decoded, resized and ready for a model. */
import type { Task } from "../models/model-config.js";
import type { TensorOf } from "../tensor.js";
import type { ClipRequest } from "./avsbench/clip-request.js";

export type { Task } from "../models/model-config.js";

/** The three parts of a dataset. */
export type Split = "train" | "val" | "test";

/** One clip of T one-second steps at the model's image size H x W. */
export interface Clip {
  /** Name of the clip in the dataset, unique within its split. */
  readonly id: string;
  /** The category folder (S4), the AVSS subset (`v1s`, `v1m`, `v2`), or `""` (MS3). */
  readonly category: string;
  /** RGB frames, `u8[T,H,W,3]`. */
  readonly frames: TensorOf<"u8">;
  /** VGGish examples, one per step, `f32[T,1,96,64]`; absent where the dataset was opened with `waves`. */
  readonly logMel?: TensorOf<"f32"> | undefined;
  /** Ground truth of the frames in `labeled`, `u8[M,S,S]` (S: the model's mask size): 0 or 1, or a class index (AVSS). */
  readonly masks: TensorOf<"u8">;
  /** Indices of the frames that have ground truth, ascending: `[0]` in S4 training, else `0..T-1`. */
  readonly labeled: readonly number[];
  /** 1 for a real frame, 0 for one added by padding (AVSS), `f32[T]`. */
  readonly frameMask: TensorOf<"f32">;
  /** 16 kHz mono samples, `f32[16000*T]`, where the dataset was opened with `waves`. */
  readonly sound?: TensorOf<"f32"> | undefined;
}

/** All tensors of a clip. */
export function tensorsOf({ frames, logMel, masks, frameMask, sound }: Clip): TensorOf<"u8" | "f32">[] {
  return [frames, logMel, masks, frameMask, sound].filter((tensor) => tensor !== undefined);
}

/** A clip in a dataset's list. */
export interface ClipEntry {
  readonly id: string;
  /** As in `Clip`. */
  readonly category: string;
  /** Names of what sounds in the clip; absent or empty where the dataset does not say so. */
  readonly sounds?: readonly string[] | undefined;
}

/** Decodes a clip of files, on this thread (`loadClip`) or on another one. */
export type DecodeClip = (request: ClipRequest) => Promise<Clip>;

/**
 * A split of a dataset, opened and checked; clips are decoded on demand.
 *
 * A wrapper passes `decode` on to the dataset that it wraps, so that a `ClipLoader` can decode in worker threads:
 *
 * @example
 * const darker: AvsDataset = {
 *   ...dataset,
 *   load: async (index, decode) => darken(await dataset.load(index, decode)),
 * };
 */
export interface AvsDataset {
  readonly task: Task;
  readonly split: Split;
  /** Class names by index; `["background", "sounding"]` for the binary tasks. */
  readonly classes: readonly string[];
  /** Steps per clip, T. */
  readonly frameCount: number;
  /** The clips in the order of the metadata table. */
  readonly entries: readonly ClipEntry[];
  /**
   * Loads clip `index`. A dataset of files decodes them with `decode` (default: on this thread); others ignore it.
   * Throws `DatasetError` naming the file that is missing or malformed.
   */
  load(index: number, decode?: DecodeClip): Promise<Clip>;
  /**
   * The sound of clip `index`, mono, at the file's own rate and as long as the clip's frames: reports draw its
   * waveform. `undefined` where the clip has no readable WAV file.
   */
  loadWaveform?(index: number): Promise<Float32Array | undefined>;
}
