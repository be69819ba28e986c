/** `avseg eval`: published and corrected metrics, tables, masks and a report. */
import { existsSync } from "node:fs";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import { openDataset } from "../datasets/avsbench/open-dataset.js";
import type { AvsDataset, Split } from "../datasets/clip.js";
import { timed } from "../evaluation/cost.js";
import { type EvaluationResult, namedMetrics } from "../evaluation/result.js";
import { fingerprintOf } from "../evaluation/resume.js";
import { describeRobustness, robustnessRows } from "../evaluation/robustness.js";
import {
  knowsSounds,
  type SoundCondition,
  soundConditions,
  soundNotes,
} from "../evaluation/sound-conditions.js";
import { EmbeddingCache } from "../inference/node/embedding-cache.js";
import type { ModelCache } from "../inference/node/model-cache.js";
import { findWeightFile } from "../inference/node/model-files.js";
import { openPredictor } from "../inference/node/open-predictor.js";
import { buildAvsModel, countParameters } from "../models/avs-model.js";
import { maskSizeOf } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import { trainingCharts } from "../report/evaluation-report.js";
import type { Report } from "../report/report.js";
import { runEvaluation } from "../report/run-evaluation.js";
import type { ProviderChoice } from "../runtime/providers.js";
import { refinedPredictor } from "../segment/refined-predictor.js";
import { readCheckpointInfo } from "../training/checkpoint.js";
import { plainFlops } from "../training/flops.js";
import { runFiles } from "../training/run-files.js";
import { hashFile } from "../weights/node/hash-file.js";
import { commandCache, configuredModel, withProvider } from "./configured-model.js";
import { modelNameOption, noCacheOption, providerOption, yesOption } from "./model-options.js";
import { collect, integer } from "./options.js";
import { print, printJson } from "./print.js";
import { createProgress } from "./progress.js";
import { type ModelChoice, requiredModel } from "./published-models.js";
import { interruptSignal, warn } from "./run.js";
import { taskArgument } from "./task-argument.js";

interface EvalOptions extends Omit<ModelChoice, "checkpoint"> {
  readonly split: Split;
  readonly sound: readonly SoundCondition[] | "all";
  readonly swapSounds?: boolean | undefined;
  readonly refine?: boolean | undefined;
  readonly batchSize?: number | undefined;
  readonly out?: string | undefined;
  readonly saveMasks?: boolean | undefined;
  readonly report: boolean;
  readonly workers?: number | undefined;
  readonly json?: boolean | undefined;
  readonly set: readonly string[];
  readonly cache: boolean;
  readonly provider?: ProviderChoice | undefined;
}

/** The `eval` command. */
export function evalCommand(): Command {
  return new Command("eval")
    .description("evaluate a checkpoint on S4, MS3 or AVSS data")
    .addArgument(taskArgument())
    .argument("<config>", "YAML configuration, or a published Python one")
    .argument("[checkpoint]", "a file of `avseg train` or `avseg export`, or a published one (.pth)")
    .addOption(modelNameOption())
    .addOption(yesOption())
    .addOption(
      new Option("--split <name>", "part of the dataset").choices(["test", "val", "train"]).default("test"),
    )
    .addOption(
      new Option(
        "--sound <list>",
        `what the clips sound like: ${soundConditions.join(", ")} (comma-separated), or all`,
      )
        .argParser(soundList)
        .default(["own"], "own"),
    )
    .option("--swap-sounds", "the same as --sound swapped")
    .option("--refine", "fit the edges of masks to those of the frames, as `avseg segment` does")
    .option("--batch-size <n>", "clips per batch; the published averages depend on it", integer(1))
    .option("--out <dir>", "folder for metrics, tables and report (default: below the checkpoint's run)")
    .option("--save-masks", "write the predicted masks as PNG files, named as published")
    .option("--no-report", "write no HTML report")
    .option("--workers <n>", "decoding threads", integer(0, 256))
    .option("--json", "print every metric as JSON")
    .addOption(providerOption())
    .addOption(noCacheOption())
    .option("--set <key=value>", "override a configuration key (repeatable)", collect, [])
    .addHelpText(
      "after",
      `
Examples:
  avseg eval s4 config/s4/pvt2.yaml work_dir/s4/pvt2/best.safetensors
  avseg eval s4 config/s4/pvt2.yaml S4_pvt.pth --save-masks --out results/s4
  avseg eval s4 config/s4/pvt2.yaml --model seavs-s4
  avseg eval s4 config/s4/pvt2.yaml best.safetensors --sound swapped
  avseg eval s4 config/s4/pvt2.yaml best.safetensors --sound all

Sounds, with which a model that listens marks less:
${soundConditions.map((name) => `  ${name.padEnd(12)} ${soundNotes[name].note}`).join("\n")}`,
    )
    .action(evaluateCheckpoint);
}

async function evaluateCheckpoint(
  task: Config["task"],
  file: string,
  givenCheckpoint: string | undefined,
  options: EvalOptions,
): Promise<void> {
  const { checkpoint, audioEncoder } = await requiredModel({ ...options, checkpoint: givenCheckpoint });
  const { split, refine = false } = options;
  const set = withProvider(options);
  const signal = interruptSignal("Scored clips are kept; the same command continues from there.");
  const { config, workDir, checkpointFile, dataset, openModel } = await openEvaluation({
    ...{ task, file, checkpoint, audioEncoder, split, set, signal },
    cache: commandCache(options.cache),
  });
  const { root, batchSize, testBatchSize } = config.data;
  const sounds = soundsOf(options, dataset);
  const name = nameOf(checkpointFile, { split, sounds, refine });
  const outDir = options.out ?? path.join(folderOf(checkpointFile, workDir), name);
  const predictor = await openModel();
  const { predictor: plain, secondsPerClip } = timed(predictor);
  const model = refine ? refinedPredictor(plain) : plain;
  const built = buildAvsModel(predictor.config);
  const total = sounds.length * dataset.entries.length;
  const progress = createProgress(`evaluating ${split}`, total, { unit: "clips" });
  const workers = options.workers ?? config.data.workers;
  try {
    const { result, results, files } = await runEvaluation(model, dataset, {
      batchSize: options.batchSize ?? (split === "test" ? (testBatchSize ?? batchSize) : batchSize),
      outDir,
      context: {
        checkpoint,
        audioEncoder,
        sha256: await hashFile(checkpointFile),
        encoders: Object.values(predictor.files).map(({ file: name, sha256 }) => `${name} ${sha256}`),
        config: file,
        settings: fingerprintOf(config),
        data: root,
        set,
        ...(refine && { refine }),
      },
      cost: () => ({
        parameters: countParameters(built).total,
        flopsPerClip: plainFlops(built),
        secondsPerClip: secondsPerClip(),
        peakMemoryBytes: process.resourceUsage().maxRSS * 1024,
      }),
      sounds,
      seed: config.training.seed,
      saveMasks: options.saveMasks,
      report: options.report ? await chartsOf(checkpointFile) : undefined,
      workers: workers ?? undefined,
      onProgress: ({ done, miou, fscore, sound }) => {
        const label = sounds.length > 1 ? `${sound} sound  ` : "";
        progress.update(done, `${label}mIoU ${miou.toFixed(4)}  F ${fscore.toFixed(4)}`);
      },
      onResume: (clips, sound) => {
        const label = sounds.length > 1 ? ` (${sound} sound)` : "";
        progress.log(`resuming after ${clips} clips that an earlier run scored${label}`);
      },
      signal,
    });
    progress.done();
    const rows = results.length > 1 ? robustnessRows(results) : undefined;
    if (options.json) printJson(rows ? { ...result.metrics, sounds: rows } : result.metrics);
    else {
      const table = rows ? ["", ...describeRobustness(rows)] : [];
      print([...describeResult(result), ...table, `written: ${files.join(", ")}`]);
    }
  } finally {
    await predictor.close();
  }
}

/** What an evaluation runs on: the data and the model that a configuration and a checkpoint name. */
export async function openEvaluation(options: {
  readonly task: Config["task"];
  /** The configuration. */
  readonly file: string;
  readonly checkpoint: string;
  readonly audioEncoder?: string | undefined;
  readonly split: Split;
  readonly set: readonly string[];
  /** Opened models. Default: the one that the environment names. */
  readonly cache?: ModelCache | false | undefined;
  readonly signal?: AbortSignal | undefined;
}) {
  const { task, split, audioEncoder, cache, signal } = options;
  const { config, warnings, workDir } = await loadConfig(options.file, { task, set: options.set });
  for (const warning of warnings) warn(warning);
  const checkpointFile = await findWeightFile(options.checkpoint);
  const { root, imageSize, audio, audioCache, frameCount } = config.data;
  const configured = await configuredModel(config);
  const described = {
    ...configured,
    encoders: { ...configured.encoders, audio: audioEncoder ?? configured.encoders?.audio },
  };
  const maskSize = described.config && maskSizeOf(described.config);
  const sizes = { imageSize, maskSize, frameCount };
  const waves = described.config && soundFormOf(described.config) === "wave";
  const dataset = await openDataset({ task, root, split, audio, waves, ...sizes, onWarning: warn });
  const openModel = () =>
    openPredictor({
      checkpoint: checkpointFile,
      ...described,
      embeddings:
        audioCache && !config.model.audio.train ? new EmbeddingCache({ onWarning: warn }) : undefined,
      runtime: { provider: config.runtime.provider, threads: config.runtime.threads ?? undefined },
      cache,
      signal,
    });
  return { config, workDir, checkpointFile, dataset, openModel };
}

/** The folder of the run that a checkpoint lies in, or else that of the configuration. */
function folderOf(checkpointFile: string, workDir: string): string {
  const folder = path.dirname(checkpointFile);
  return existsSync(runFiles(folder).metrics) ? folder : workDir;
}

/** Evaluations of several checkpoints, splits, sounds or forms of masks do not replace each other. */
function nameOf(
  checkpointFile: string,
  options: {
    readonly split: Split;
    readonly sounds: readonly SoundCondition[];
    readonly refine: boolean;
  },
): string {
  const { split, sounds, refine } = options;
  const { name } = path.parse(checkpointFile);
  const [first = "own"] = sounds;
  const parts = [name === "best" ? undefined : name, split, first === "own" ? undefined : first];
  return ["eval", ...parts, refine ? "refined" : undefined].filter((part) => part !== undefined).join("-");
}

/** Reads a list of kinds of sound. Throws `InvalidArgumentError`. */
function soundList(text: string): readonly SoundCondition[] | "all" {
  if (text === "all") return text;
  const names = text.split(",").map((name) => name.trim());
  const found = names.map((name) => soundConditions.find((known) => known === name));
  const wrong = names.find((_, i) => found[i] === undefined);
  if (wrong !== undefined) {
    throw new InvalidArgumentError(
      `Found ${JSON.stringify(wrong)}, expected some of ${soundConditions.join(", ")}, or all.`,
    );
  }
  return [...new Set(found.filter((name) => name !== undefined))];
}

/** The kinds of sound to evaluate with: of all, those that the dataset can have. */
function soundsOf({ sound, swapSounds }: EvalOptions, dataset: AvsDataset): readonly SoundCondition[] {
  if (swapSounds === true) return ["swapped"];
  if (sound !== "all") return sound;
  if (knowsSounds(dataset)) return soundConditions;
  warn("other-class is left out: the dataset does not say what sounds in its clips");
  return soundConditions.filter((name) => name !== "other-class");
}

/** The curves of the run that a checkpoint comes from, where it is one of ours: to the run's end, where that is known. */
async function chartsOf(file: string): Promise<Partial<Pick<Report, "charts">>> {
  const checkpoint = await readCheckpointInfo(file).catch(() => undefined);
  if (!checkpoint || checkpoint.progress.history.length === 0) return {};
  const last = await readCheckpointInfo(runFiles(path.dirname(file)).last).catch(() => undefined);
  const epochs = checkpoint.progress.history.length;
  const sameRun =
    JSON.stringify(last?.progress.history.slice(0, epochs)) === JSON.stringify(checkpoint.progress.history);
  const { history, best } = (sameRun ? last : checkpoint)?.progress ?? checkpoint.progress;
  return { charts: trainingCharts({ epochs: history, bestEpoch: best?.epoch }) };
}

/** Every metric with the protocol it follows, so that published and corrected ones are not mixed up. */
function describeResult(result: EvaluationResult): string[] {
  const metrics = namedMetrics(result);
  const width = Math.max(...metrics.map(({ label }) => label.length));
  return metrics.map(({ label, value, protocol }) => {
    const number = protocol === "count" ? String(value) : value.toFixed(4);
    const batches = label.endsWith("per batch") ? `, batches of ${result.batchSize}` : "";
    const note = protocol === "count" ? "" : `(${protocol}${batches})`;
    return `${label.padEnd(width)}  ${number.padStart(8)}  ${note}`.trimEnd();
  });
}
