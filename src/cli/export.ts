/** `avseg export`: a checkpoint as one ONNX file, and what its precision costs on labeled data. */
import { existsSync } from "node:fs";
import { stat } from "node:fs/promises";
import path from "node:path";
import { Command, Option } from "commander";
import { loadConfig } from "../config/load.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import type { AvsDataset, Split } from "../datasets/clip.js";
import { DatasetError } from "../errors.js";
import { compareExport, type ExportComparison } from "../export/compare-export.js";
import { type ExportedModel, exportModel } from "../export/export-model.js";
import { type AudioForm, audioForms, type FramesForm, framesForms } from "../export/form.js";
import { type Precision, precisions } from "../export/prepare.js";
import { type AvsModelConfig, maskSizeOf } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import { writeFileAtomic } from "../node/files.js";
import { describe } from "../tensor.js";
import { modelOptions } from "./configured-model.js";
import { audioEncoderOption, modelNameOption, yesOption } from "./model-options.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress, formatBytes } from "./progress.js";
import { type ModelChoice, requiredModel } from "./published-models.js";
import { interruptSignal, UsageError, warn } from "./run.js";

interface ExportCommandOptions extends Omit<ModelChoice, "checkpoint"> {
  readonly out: string;
  readonly precision: Precision;
  readonly frames: FramesForm;
  readonly audio?: AudioForm | undefined;
  readonly withAudioFrontend?: boolean | undefined;
  readonly clips: number;
  readonly externalData?: boolean | undefined;
  readonly config?: string | undefined;
  readonly audioEncoder?: string | undefined;
  readonly compare?: string | undefined;
  readonly split: Split;
}

/** The `export` command. */
export function exportCommand(): Command {
  return new Command("export")
    .description("write a checkpoint as one ONNX file that any ONNX runtime can load")
    .argument("[checkpoint]", "a file of `avseg train`, or a published one (.pth, .safetensors)")
    .addOption(modelNameOption())
    .addOption(yesOption())
    .requiredOption("--out <file>", "the .onnx file to write")
    .addOption(
      new Option(
        "--precision <kind>",
        "fp32; half-precision weights (half the file); 8-bit products (a third, faster)",
      )
        .choices(precisions)
        .default("fp32"),
    )
    .addOption(
      new Option("--frames <form>", "u8: RGB bytes [N,H,W,3]; f32: normalized planes [N,3,H,W]")
        .choices(framesForms)
        .default("u8"),
    )
    .addOption(
      new Option(
        "--audio <form>",
        "pcm: 16 kHz mono; log-mel; VGGish embedding (default: log-mel; pcm for DenseAV)",
      ).choices(audioForms),
    )
    .option("--with-audio-frontend", "take sound as samples: the same as --audio pcm")
    .option("--clips <n>", "clips per run, fixed in the file", integer(1, 64), 1)
    .option("--external-data", "put the weights into <out>.data beside the model")
    .option("--config <file>", "configuration of the model, where the checkpoint does not hold its own")
    .addOption(audioEncoderOption())
    .option("--compare <data>", "compare with the full model on a dataset: its folder, or a configuration")
    .addOption(
      new Option("--split <name>", "part of it to compare on")
        .choices(["test", "val", "train"])
        .default("test"),
    )
    .addHelpText(
      "after",
      `
Examples:
  avseg export work_dir/s4/pvt2/best.safetensors --out model.onnx
  avseg export --model seavs-s4 --out seavs-s4.onnx
  avseg export best.safetensors --out model.onnx --with-audio-frontend --precision fp16-weights
  avseg export best.safetensors --out model.onnx --precision int8 --compare config/s4/pvt2.yaml

--compare also writes the comparison to <out>.comparison.json.`,
    )
    .action(exportCheckpoint);
}

async function exportCheckpoint(
  givenCheckpoint: string | undefined,
  options: ExportCommandOptions,
): Promise<void> {
  const { out, precision, frames, clips, split } = options;
  if (options.withAudioFrontend && options.audio !== undefined && options.audio !== "pcm") {
    throw new UsageError(`--with-audio-frontend takes samples, --audio ${options.audio} does not`, {
      hint: "Give one of the two.",
    });
  }
  if (givenCheckpoint !== undefined && path.resolve(out) === path.resolve(givenCheckpoint)) {
    throw new UsageError(`--out ${out} is the checkpoint itself, which would be lost`, {
      hint: "Give the .onnx file another name.",
    });
  }
  if (options.compare !== undefined && !existsSync(options.compare)) {
    throw new DatasetError(
      `${options.compare}: expected a dataset's folder or a configuration, but there is no such file`,
      { hint: "Check the path that --compare gives." },
    );
  }
  const audio = options.withAudioFrontend ? "pcm" : options.audio;
  const chosen = await requiredModel({ ...options, checkpoint: givenCheckpoint });
  const signal = interruptSignal("Nothing half-written was left.");
  let progress: ReturnType<typeof createProgress> | undefined;
  const labeled: { dataset?: AvsDataset | undefined } = {};
  const exported = await exportModel({
    checkpoint: chosen.checkpoint,
    hints: chosen.hints,
    ...(await modelOptions({
      config: options.config,
      audioEncoder: options.audioEncoder ?? chosen.audioEncoder,
    })),
    out,
    form: { clips, frames, audio },
    precision,
    externalData: options.externalData,
    onModel: async (config) => {
      if (options.compare !== undefined) labeled.dataset = await dataOf(options.compare, split, config);
    },
    onProgress: ({ stage, done, total }) => {
      if (stage !== "writing") return;
      progress ??= createProgress("writing", total, { unit: "bytes" });
      progress.update(done);
    },
    signal,
  });
  progress?.done();
  print(describeExport(exported));
  const { dataset } = labeled;
  if (dataset === undefined) return;

  const counting = createProgress(`comparing on ${split}`, dataset.entries.length, { unit: "clips" });
  const report = await compareExport({
    source: exported.source,
    precision,
    dataset,
    onProgress: ({ done }) => counting.update(done),
    signal,
  });
  counting.done();
  const file = `${out}.comparison.json`;
  await writeFileAtomic(file, `${JSON.stringify(report, null, 2)}\n`);
  print([...describeComparison(report), `written: ${file}`]);
}

/** The dataset below a folder, or the one that a configuration names, at the model's size. */
async function dataOf(data: string, split: Split, model: AvsModelConfig): Promise<AvsDataset> {
  const { task, imageSize, frameCount } = model;
  const isFolder = await stat(data).then(
    (status) => status.isDirectory(),
    () => false,
  );
  const named = isFolder ? { root: data } : (await loadConfig(data, { task })).config.data;
  const maskSize = maskSizeOf(model);
  const waves = soundFormOf(model) === "wave";
  return openDataset({ ...named, task, split, imageSize, maskSize, frameCount, waves, onWarning: warn });
}

function describeExport({ files, inputs, outputs }: ExportedModel): string[] {
  const values = (list: ExportedModel["inputs"]) =>
    list.map((value) => `${value.name} ${describe(value)}`).join(", ");
  return [
    ...files.map(({ path: file, bytes }) => `${path.normalize(file)}  ${formatBytes(bytes)}`),
    `  in:  ${values(inputs)}`,
    `  out: ${values(outputs)}`,
  ];
}

function describeComparison(report: ExportComparison): string[] {
  const { full, exported, clips, precision, split } = report;
  const published = report.task === "avss" ? "" : ` as published, in batches of ${report.batchSize}`;
  const points = (change: number) => `${change >= 0 ? "+" : ""}${(100 * change).toFixed(2)} points`;
  return [
    `${precision} against the full model on ${clips} clips (${split}); mIoU and F-score${published}`,
    `  mask pixels flipped  ${(100 * report.flippedFraction).toFixed(3)}% of ${report.pixels.toLocaleString("en")}`,
    `  mIoU                 ${full.miou.toFixed(4)} -> ${exported.miou.toFixed(4)}  (${points(report.miouChange)})`,
    `  F-score              ${full.fscore.toFixed(4)} -> ${exported.fscore.toFixed(4)}  (${points(report.fscoreChange)})`,
    `  seconds per clip     ${report.fullSecondsPerClip.toFixed(3)} -> ${report.exportedSecondsPerClip.toFixed(3)}  (${report.timeRatio.toFixed(2)} of the full model's)`,
  ];
}
