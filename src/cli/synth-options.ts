/** What the generators of datasets have in common: their options, and what these must satisfy. */
import type { Command } from "commander";
import { defaultImageSize } from "../models/base-config.js";
import { integer } from "./options.js";

/** Options of every generator. */
export interface SynthOptions {
  readonly out: string;
  readonly train: number;
  readonly val: number;
  readonly test: number;
  readonly size: number;
  readonly seed: number;
  readonly videos: number;
}

/** Parses a number of clips. */
export const clipCount = integer(0, 99_999);

/** Adds the options `--size`, `--seed` and `--videos`. */
export function addRenderOptions(command: Command): Command {
  const size = "height and width of the frames, 32 to 1024";
  return command
    .option("--size <pixels>", size, integer(32, 1024), defaultImageSize)
    .option("--seed <n>", "seed of the generated clips", integer(0), 123)
    .option("--videos <n>", "number of test clips to write as MP4 files, too", integer(0), 0);
}

/** Exits with a usage error where there are fewer test clips than `--videos`, or their size does not suit H.264. */
export function requireVideos({ videos, test, size }: SynthOptions, command: Command): void {
  if (videos > test) command.error("avseg: --videos: expected at most the number of test clips");
  if (videos > 0 && size % 2 > 0) command.error("avseg: --videos: expected an even --size");
}
