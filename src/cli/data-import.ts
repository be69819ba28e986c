/** `avseg data import`: makes a training set of a user's videos and masks, and a configuration to train on it. */

import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { stringify } from "yaml";
import { fineTuneSections } from "../config/fine-tune.js";
import type { Config } from "../config/schema.js";
import type { Task } from "../datasets/clip.js";
import {
  areClassNames,
  expectedClassNames,
  type ImportedDataset,
  importDataset,
} from "../datasets/own/import.js";
import { listSome } from "../errors.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { defaultImageSize, tasks } from "../models/base-config.js";
import { writeFileAtomic } from "../node/files.js";
import { readCheckpointInfo } from "../training/checkpoint.js";
import { fraction, integer } from "./options.js";
import { print } from "./print.js";
import { createProgress } from "./progress.js";
import { commandLine, interruptSignal, UsageError } from "./run.js";

interface ImportCommandOptions {
  readonly out: string;
  readonly task: Task;
  readonly classes?: string[] | undefined;
  readonly size: number;
  readonly val: number;
  readonly test: number;
  readonly seed: number;
  readonly from?: string | undefined;
}

/** Builds the command. */
export function importCommand(): Command {
  return new Command("import")
    .description("turn your own videos and masks into a training set, with a configuration for it")
    .argument("<folder>", "clip.mp4 with its masks in clip/0.png, clip/1.png, ... (one per second)")
    .requiredOption("--out <dir>", "root to write under")
    .addOption(
      new Option("--task <task>", "s4: the first of five seconds needs a mask; ms3, avss: every second")
        .choices(tasks)
        .default("ms3"),
    )
    .option("--classes <list>", "comma-separated class names: class 1, 2, ... (avss only)", classList)
    .option("--size <pixels>", "height and width of the frames", integer(32, 4096), defaultImageSize)
    .option("--val <fraction>", "fraction of the clips for validation", fraction, 0.15)
    .option("--test <fraction>", "fraction of the clips for testing", fraction, 0.15)
    .option("--seed <n>", "seed of the division into splits", integer(0), 123)
    .option("--from <checkpoint>", "write a configuration that fine-tunes this checkpoint")
    .addHelpText(
      "after",
      `
Example:
  avseg data import my-clips --out data/mine --from best.safetensors
  avseg train ms3 data/mine/ms3.yaml
  avseg data import my-clips --out data/mine --task avss --classes dog,guitar

A mask has the size of the video. It is 255 where something sounds and 0 elsewhere; the number in its name is
the second whose last frame it marks. For avss a mask holds the number of the class (0 for the background), or
its color in the palette of PASCAL VOC and AVSBench.`,
    )
    .action(importOwn);
}

function classList(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  if (areClassNames(names)) return names;
  throw new InvalidArgumentError(expectedClassNames);
}

async function importOwn(source: string, options: ImportCommandOptions): Promise<void> {
  if (options.val + options.test >= 1) {
    throw new UsageError("--val and --test must add up to less than 1, to leave clips for training", {
      hint: "Lower one of them.",
    });
  }
  if ((options.task === "avss") !== (options.classes !== undefined)) {
    throw new UsageError("--classes is required with --task avss, and only then", {
      hint: "Add `--task avss --classes dog,guitar`, or leave out --classes.",
    });
  }
  const from = options.from && (await findWeightFile(options.from));
  const base = from ? (await readCheckpointInfo(from)).config : undefined;
  let progress: ReturnType<typeof createProgress> | undefined;
  const { folder, clips, unused } = await importDataset({
    task: options.task,
    source,
    root: options.out,
    imageSize: options.size,
    classes: options.classes,
    valFraction: options.val,
    testFraction: options.test,
    seed: options.seed,
    signal: interruptSignal("Nothing was written."),
    onProgress: ({ done, total }) => {
      progress ??= createProgress("importing", total, { unit: "clips" });
      progress.update(done);
    },
  });
  progress?.done();
  print(`${folder}: ${clips.train} training, ${clips.val} validation and ${clips.test} test clips`);
  for (const { reason, files } of unused) print(`not used, ${reason}: ${listSome(files, 10)}`);
  const file = path.join(options.out, `${options.task}.yaml`);
  if (clips.val === 0)
    print("no clip is left for validation: the best epoch is chosen on the training clips");
  await writeFileAtomic(file, configText({ ...options, from }, clips, base));
  print(`Train on it with: ${commandLine("train", options.task, file)}`);
}

/** A configuration for imported data: fine-tuning of a checkpoint, or the published recipe. */
function configText(options: ImportCommandOptions, clips: ImportedDataset["clips"], base?: Config): string {
  const { task, out, from, size } = options;
  const fineTuning = base && fineTuneSections(base, { init: path.resolve(from ?? "") });
  const config = {
    task,
    description: `own data imported to ${out}`,
    workDir: path.join("work_dir", task, path.basename(path.resolve(out))),
    model: fineTuning?.model ?? {
      visual: { kind: "pvt-v2-b5", weights: "pretrained/pvt_v2_b5.pth" },
      audio: { weights: "pretrained/vggish-10086976.pth" },
    },
    // Clips of AVSS may have ten seconds, imported ones have five: without this they would be padded.
    data: { root: path.resolve(out), imageSize: base?.data.imageSize ?? size, frameCount: 5, batchSize: 4 },
    training: { ...fineTuning?.training, evaluateFrom: 0, valSplit: clips.val > 0 ? "val" : "train" },
  };
  const weights = base ? "" : "# Encoder weights: `avseg weights pull pvt_v2_b5 vggish`.\n";
  return `# Made by \`avseg data import\`; src/config/schema.ts lists every key.\n${weights}${stringify(config)}`;
}
