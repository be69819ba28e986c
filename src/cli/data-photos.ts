/** `avseg data synth photos`: compose PhotoSounds of real photographs and real sounds. */

import { Argument, Command } from "commander";
import type { Task } from "../datasets/clip.js";
import { PhotoStudio } from "../datasets/photo-sounds/render-clip.js";
import { type PhotoPart, writePhotoSounds } from "../datasets/photo-sounds/write.js";
import { defaultImageSize } from "../models/base-config.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress } from "./progress.js";
import { interruptSignal } from "./run.js";

/** Builds the command. */
export function photosCommand(): Command {
  const clips = integer(0, 99_999);
  return new Command("photos")
    .description("compose PhotoSounds of photographs and recordings from free packages, in AVSBench's layout")
    .addArgument(new Argument("<task>", "the setting of AVSBench").choices(["s4", "ms3", "avss"]))
    .requiredOption("--out <dir>", "root to write under")
    .option("--sources <dir>", "folder with the unpacked packages (default: they are installed)")
    .option("--train <n>", "training clips", clips, 1500)
    .option("--val <n>", "validation clips, of the sources of training", clips, 100)
    .option("--test <n>", "test clips, of other pictures and recordings of the same classes", clips, 200)
    .option("--unseen <n>", "test clips of classes that training never meets, below unseen/", clips, 0)
    .option(
      "--size <pixels>",
      "height and width of the frames, 32 to 1024",
      integer(32, 1024),
      defaultImageSize,
    )
    .option("--seed <n>", "seed of the generated clips", integer(0), 123)
    .option("--videos <n>", "number of test clips to write as MP4 files, too", integer(0), 0)
    .addHelpText(
      "after",
      `
Examples:
  avseg data synth photos s4 --sources photo-sources --out data/photos
  avseg data synth photos ms3 --sources photo-sources --out data/photos --train 500 --unseen 60`,
    )
    .action(photos);
}

interface PhotosOptions extends Readonly<Record<PhotoPart, number>> {
  readonly out: string;
  readonly sources?: string | undefined;
  readonly size: number;
  readonly seed: number;
  readonly videos: number;
}

async function photos(task: Task, options: PhotosOptions, command: Command): Promise<void> {
  const { train, val, test, unseen, videos, size } = options;
  if (videos > test) command.error("avseg: --videos: expected at most the number of test clips");
  if (videos > 0 && size % 2 > 0) command.error("avseg: --videos: expected an even --size");
  const studio = await PhotoStudio.open({ sources: options.sources });
  const progress = createProgress("composing clips", train + val + test + unseen + videos, { unit: "clips" });
  const written = await writePhotoSounds({
    task,
    root: options.out,
    studio,
    counts: { train, val, test, unseen },
    imageSize: size,
    seed: options.seed,
    clipsAsVideo: videos,
    signal: interruptSignal("Finished clips are kept; the same command continues."),
    onProgress: ({ done }) => progress.update(done),
  });
  progress.done();
  for (const { folder, clips, kept, videos: files } of written) {
    const note = kept === 0 ? "" : kept === clips ? ", unchanged" : `, ${kept} of them existed`;
    print([`${folder}: ${clips} clips${note}`, ...files]);
  }
}
