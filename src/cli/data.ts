/**
 * `avseg data`: generate, prepare and check datasets. `data-photos.ts` composes photographs, `data-import.ts` imports
 * datasets, `data-shard.ts` packs them.
 */

import { Command, InvalidArgumentError } from "commander";
import { checkDataset, type DatasetIssue, type DatasetReport } from "../datasets/avsbench/check.js";
import { prepareDataset } from "../datasets/avsbench/prepare.js";
import type { Task } from "../datasets/clip.js";
import { isKind, type Kind, kinds, novelKinds } from "../datasets/sound-shapes/kinds.js";
import { writeSoundShapes } from "../datasets/sound-shapes/write.js";
import { DatasetError } from "../errors.js";
import { defaultImageSize } from "../models/base-config.js";
import { importCommand } from "./data-import.js";
import { photosCommand } from "./data-photos.js";
import { shardCommand } from "./data-shard.js";
import { integer } from "./options.js";
import { print, printJson } from "./print.js";
import { createProgress } from "./progress.js";
import { interruptSignal } from "./run.js";
import { addRenderOptions, clipCount, requireVideos, type SynthOptions } from "./synth-options.js";
import { taskArgument } from "./task-argument.js";

/** Builds the command. */
export function dataCommand(): Command {
  return new Command("data")
    .description("generate, prepare, import, pack and check datasets")
    .addHelpText(
      "after",
      `
Examples:
  avseg data synth s4 --out data/shapes --size 112
  avseg data import my-clips --out data/mine
  avseg data check ms3 data/mine`,
    )
    .addCommand(synthCommand())
    .addCommand(checkCommand())
    .addCommand(prepareCommand())
    .addCommand(importCommand())
    .addCommand(shardCommand());
}

function kindList(text: string): Kind[] {
  const names = [...new Set(text.split(",").map((name) => name.trim()))];
  const chosen = names.filter(isKind);
  if (chosen.length === names.length && chosen.length >= 2) return chosen;
  throw new InvalidArgumentError(`expected two or more of ${[...kinds, ...novelKinds].join(",")}`);
}

function synthCommand(): Command {
  return new Command("synth")
    .description("generate a benchmark in AVSBench's layout: SoundShapes (the default), or PhotoSounds")
    .addHelpText(
      "after",
      `
Examples:
  avseg data synth s4 --out data/shapes --size 112
  avseg data synth photos s4 --sources photo-sources --out data/photos

\`avseg data synth shapes --help\` lists the options of SoundShapes.`,
    )
    .addCommand(shapesCommand(), { isDefault: true })
    .addCommand(photosCommand());
}

function shapesCommand(): Command {
  const command = new Command("shapes")
    .description("generate SoundShapes, the built-in benchmark, which needs nothing else")
    .addArgument(taskArgument())
    .requiredOption("--out <dir>", "root to write under")
    .option("--train <n>", "training clips", clipCount, 250)
    .option("--val <n>", "validation clips", clipCount, 40)
    .option("--test <n>", "test clips", clipCount, 60);
  return addRenderOptions(command)
    .option("--kinds <list>", `comma-separated kinds of objects (default: ${kinds.join(",")})`, kindList)
    .addHelpText(
      "after",
      `
Examples:
  avseg data synth s4 --out data/shapes --size 112
  avseg data synth s4 --out data/novel --train 8 --val 8 --test 20 --kinds ${novelKinds.join(",")}`,
    )
    .action(synth);
}

interface ShapesOptions extends SynthOptions {
  readonly kinds?: Kind[] | undefined;
}

async function synth(which: Task, options: ShapesOptions, command: Command): Promise<void> {
  requireVideos(options, command);
  const { train, val, test } = options;
  const progress = createProgress("generating clips", train + val + test + options.videos, { unit: "clips" });
  const { folder, clips, videos, written, replaced } = await writeSoundShapes({
    task: which,
    root: options.out,
    counts: { train, val, test },
    imageSize: options.size,
    seed: options.seed,
    clipsAsVideo: options.videos,
    kinds: options.kinds,
    signal: interruptSignal("The data is incomplete; the same command generates it again."),
    onProgress: ({ done }) => progress.update(done),
  });
  progress.done();
  const note = replaced ? ", in place of clips with other options" : written ? "" : ", unchanged";
  print([`${folder}: ${clips} clips${note}`, ...videos]);
}

function checkCommand(): Command {
  return new Command("check")
    .description("read every file of a dataset and list everything that is wrong with it")
    .addArgument(taskArgument())
    .argument("<root>", "root of AVSBench, or the task's folder")
    .option("--json", "print JSON")
    .option("--limit <n>", "maximum number of findings to print", integer(1), 100)
    .addHelpText(
      "after",
      "\nExample:\n  avseg data check s4 data/AVSBench\n\nExits with 1 if there are errors.",
    )
    .action(async (which: Task, root: string, options: { json?: boolean | undefined; limit: number }) => {
      let progress: ReturnType<typeof createProgress> | undefined;
      const report = await checkDataset({
        task: which,
        root,
        signal: interruptSignal(),
        onProgress: ({ done, total }) => {
          progress ??= createProgress("checking", total, { unit: "clips" });
          progress.update(done);
        },
      });
      progress?.done();
      if (options.json) printJson(report);
      else print(reportLines(report, options.limit));
      const errors = report.issues.filter((issue) => issue.severity === "error").length;
      if (errors === 0) return;
      throw new DatasetError(`${report.folder}: ${errors} ${errors === 1 ? "error" : "errors"} found`, {
        hint: "Fix the files listed above, or remove their rows from the table.",
      });
    });
}

function reportLines({ folder, clips, issues }: DatasetReport, limit: number): string[] {
  const line = (issue: DatasetIssue): string =>
    `${issue.severity} [${issue.kind}]${issue.clip && ` ${issue.clip}`}: ${issue.message}`;
  const counts = `${clips.train} training, ${clips.val} validation and ${clips.test} test clips`;
  const lines = issues.slice(0, limit).map(line);
  if (issues.length > limit) lines.push(`... and ${issues.length - limit} more (raise --limit to see them)`);
  return [...lines, `${folder}: ${counts}, ${issues.length} findings`];
}

function prepareCommand(): Command {
  return new Command("prepare")
    .description("turn raw videos into AVSBench's layout: frames, 16 kHz sound, log-mels")
    .addArgument(taskArgument())
    .argument("<videos>", "folder of videos with the names of the clips, in any subfolders")
    .requiredOption("--table <csv>", "metadata table, e.g. s4_meta_data.csv")
    .requiredOption("--out <dir>", "root to write under")
    .option(
      "--size <pixels>",
      "height and width of the frames (not AVSS)",
      integer(32, 4096),
      defaultImageSize,
    )
    .addHelpText(
      "after",
      `
Example:
  avseg data prepare s4 raw_videos --table s4_meta_data.csv --out data/AVSBench

Existing clips are kept, so the same command resumes an interrupted run. Masks are not created.`,
    )
    .action(async (which: Task, videos: string, options: { table: string; out: string; size: number }) => {
      let progress: ReturnType<typeof createProgress> | undefined;
      const result = await prepareDataset({
        task: which,
        videos,
        table: options.table,
        root: options.out,
        imageSize: options.size,
        signal: interruptSignal("Finished clips are kept; the same command continues."),
        onProgress: ({ done, total, id }) => {
          progress ??= createProgress("preparing", total, { unit: "clips" });
          progress.update(done, id);
        },
      });
      progress?.done();
      for (const { id, message } of result.failures) print(`omitted ${id}: ${message}`);
      print(`${result.folder}: ${result.prepared} clips prepared, ${result.present} existed`);
      const [mask] = result.missingMasks;
      if (mask)
        print(`${result.missingMasks.length} of them have no masks yet; the first belongs at ${mask}`);
      const failed = result.failures.length;
      if (failed === 0) return;
      throw new DatasetError(`${failed} of the table's clips could not be prepared`, {
        hint: "They are listed above and omitted from the new table. Fix them and run the command again.",
      });
    });
}
