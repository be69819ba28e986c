/** What opening a split takes, whether it lies in a folder or in shards. */
import type { Split, Task } from "../clip.js";
import type { AudioSource } from "./clip-request.js";

/** Options of `openDataset`. */
export interface OpenOptions {
  readonly task: Task;
  /** The root of AVSBench, or the folder of the task; or the folder or address of the same in shards. */
  readonly root: string;
  readonly split: Split;
  /** Height and width to which frames are resized. */
  readonly imageSize: number;
  /** Height and width to which masks are resized. Default: `imageSize`. */
  readonly maskSize?: number | undefined;
  /** Source of the log-mels. Default: `"auto"`, the pickle if there is one, else the WAV file. */
  readonly audio?: AudioSource | undefined;
  /**
   * Whether clips hold their sound as 16 kHz samples instead of log-mels, for models whose `soundForm` is `wave`; every clip
   * then needs its WAV file. Default: false.
   */
  readonly waves?: boolean | undefined;
  /** Steps per clip, T. Default: as published, 5, for AVSS 10. */
  readonly frameCount?: number | undefined;
  /** Seconds of a clip's samples, with `waves`. Default: `frameCount`. */
  readonly soundSeconds?: number | undefined;
  /**
   * The clips of one of `ranks` processes, numbered from 0: those of every `ranks`-th shard, so that no two processes read
   * the same shard, or in a folder every `ranks`-th clip. Default: all clips.
   */
  readonly rank?: number | undefined;
  /** Default: 1. */
  readonly ranks?: number | undefined;
  /** Called with what a user should know although the split can be used. */
  readonly onWarning?: ((message: string) => void) | undefined;
}
