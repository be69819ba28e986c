/** `avseg train`: trains Messenger Blocks and decoder (and whatever the configuration unfreezes). */
import { Command } from "commander";
import { loadConfig } from "../config/load.js";
import type { Config } from "../config/schema.js";
import type { OpenedRanks } from "../distributed/mpi.js";
import { type NodeProvider, nodeProviders } from "../runtime/providers.js";
import { openTraining, type Training } from "../training/open-training.js";
import { runFiles } from "../training/run-files.js";
import type { TrainerEvent } from "../training/trainer-options.js";
import { withProvider } from "./configured-model.js";
import { providerOption } from "./model-options.js";
import { onRanks } from "./on-ranks.js";
import { collect } from "./options.js";
import { print } from "./print.js";
import {
  createProgress,
  formatDuration,
  measurePace,
  type ProgressDisplay,
  type ProgressOptions,
} from "./progress.js";
import { commandLine, interruptSignal, UsageError, warn } from "./run.js";
import { taskArgument } from "./task-argument.js";

interface TrainOptions {
  readonly set: readonly string[];
  readonly out?: string | undefined;
  readonly resume?: boolean | undefined;
  readonly overwrite?: boolean | undefined;
  readonly provider?: NodeProvider | undefined;
}

/** The `train` command. */
export function trainCommand(): Command {
  return new Command("train")
    .description("train on S4, MS3 or AVSS data")
    .addArgument(taskArgument())
    .argument("<config>", "YAML configuration, or a published Python one")
    .option("--set <key=value>", "override a configuration key (repeatable)", collect, [])
    .option("--out <dir>", "folder for checkpoints and logs (default: work_dir/<task>/<config name>)")
    .addOption(providerOption(nodeProviders))
    .option("--resume", "continue from the folder's last checkpoint, if there is one")
    .option("--overwrite", "start anew in a folder that has a run already")
    .addHelpText(
      "after",
      `
Examples:
  avseg train s4 config/s4/pvt2.yaml --set data.root=/data/AVSBench/Single-source
  avseg train s4 config/s4/pvt2.yaml --resume
  avseg train ms3 config/ms3/pvt2.yaml --set training.init=work_dir/s4/pvt2/best.safetensors
  mpirun -n 4 avseg train s4 config/s4/pvt2.yaml    (four processes share each batch)`,
    )
    .action((...args: TrainArguments) => onRanks((ranks) => train(ranks, ...args)));
}

type TrainArguments = readonly [task: Config["task"], file: string, options: TrainOptions];

async function train(ranks: OpenedRanks, ...[task, file, options]: TrainArguments): Promise<void> {
  const isFirst = ranks.rank === 0;
  if (options.resume && options.overwrite) {
    throw new UsageError("--resume continues a run and --overwrite removes it", {
      hint: "Give one of the two.",
    });
  }
  const assignments = withProvider(options);
  const loaded = await loadConfig(file, { task, set: assignments });
  const { config, workDir: defaultDir } = loaded;
  const onWarning = isFirst ? warn : undefined;
  for (const warning of [...loaded.warnings, ...loaded.trainingWarnings]) onWarning?.(warning);
  const workDir = options.out ?? defaultDir;
  const set = assignments.flatMap((assignment) => ["--set", assignment]);
  const out = options.out === undefined ? [] : ["--out", options.out];
  const resume = commandLine("train", task, file, ...set, ...out, "--resume");
  let steps = 0;
  let [waited, summed] = [0, 0];
  const signal = interruptSignal(
    () =>
      steps > 0
        ? `All finished steps are saved in ${runFiles(workDir).last}; continue with: ${resume}`
        : "No step was finished.",
    { silent: ranks.size > 1 }, // the launcher acknowledges it
  );
  const training = await openTraining({
    config,
    workDir,
    ranks,
    signal,
    onWarning,
    existing: options.resume ? "resume" : options.overwrite ? "replace" : "refuse",
  });
  try {
    if (isFirst) printHeader(training, { config, workDir, ranks });
    const started = performance.now();
    const view = epochView(config.training);
    const result = await training.trainer.run({
      signal,
      onEvent: (event) => {
        if (event.kind === "step") {
          steps++;
          waited += event.reports.waitSeconds ?? 0;
          summed += event.reports.reduceSeconds ?? 0;
        }
        if (isFirst) view(event);
      },
    });
    if (!isFirst) return;
    const took = formatDuration((performance.now() - started) / 1000);
    const best = result.best
      ? `best epoch ${result.best.epoch + 1} (${config.training.selectBy} ${result.best.value.toFixed(4)} on ${config.training.valSplit})`
      : "not evaluated";
    print(`done in ${took}: ${best}`);
    if (ranks.size > 1) {
      print(
        `of that ${summed.toFixed(1)} s to sum gradients and ${waited.toFixed(1)} s to wait for other processes`,
      );
    }
    const use = result.bestFile ?? result.lastFile;
    const evaluate = commandLine("eval", task, file, use, ...set);
    print([`checkpoint: ${use}`, `evaluate:   ${evaluate}`]);
  } finally {
    await training.close();
  }
}

interface Header {
  readonly config: Config;
  readonly workDir: string;
  readonly ranks: OpenedRanks;
}

function printHeader({ summary, trainer }: Training, { config, workDir, ranks }: Header): void {
  const millions = (n: number): string => `${(n / 1e6).toFixed(2)} M`;
  const { parameters, forwardFlops } = summary;
  const lines = [
    `task ${config.task}, ${summary.trainClips} clips to train on, ${summary.valClips} to validate (${config.training.valSplit})`,
    `parameters: ${millions(parameters.total)} in all, ${millions(parameters.trained)} trained; visual encoder ${millions(parameters.visualEncoder)}, audio encoder ${millions(parameters.audioEncoder)}`,
    `encoders: visual ${summary.encoders.visual ?? "random"}, audio ${summary.encoders.audio ?? "random"}`,
    `forward of one clip: ${(forwardFlops / 1e9).toFixed(1)} GFLOP`,
    `writing to ${workDir}`,
  ];
  if (ranks.size > 1) {
    const threads = config.runtime.threads ?? ranks.threads ?? 1;
    lines.push(`${ranks.size} processes, ${threads} ${threads === 1 ? "thread" : "threads"} each`);
    if (trainer.idleRanks > 0) {
      lines.push(
        `${trainer.idleRanks} of them have no clips to compute: raise data.batchSize, or start fewer`,
      );
    }
  }
  const { epoch, batch, step } = trainer.progress;
  if (step > 0) lines.push(`resuming in epoch ${epoch + 1} after ${batch} batches (${step} steps done)`);
  print(lines);
}

/** Progress on stderr (or as `display` says), a line per epoch on stdout. */
export function epochView(
  { epochs }: Pick<Config["training"], "epochs">,
  display: Pick<ProgressOptions, "stream" | "now"> = {},
): (event: TrainerEvent) => void {
  let progress: { kind: TrainerEvent["kind"]; shown: ProgressDisplay } | undefined;
  const show = (
    kind: TrainerEvent["kind"],
    { label, total, unit }: { label: string; total: number; unit: string },
  ): ProgressDisplay => {
    if (progress?.kind !== kind) {
      progress?.shown.done();
      progress = { kind, shown: createProgress(label, total, { ...display, unit }) };
    }
    return progress.shown;
  };
  const ofEpochs = (epoch: number): string => `epoch ${epoch + 1}/${epochs}`;
  const pace = measurePace(display.now); // of the whole run, validation included
  return (event) => {
    if (event.kind === "step") {
      const { epoch, batch, batches, loss } = event;
      const step = epoch * batches + batch;
      const perSecond = pace(step);
      const isLast = epoch + 1 === epochs; // where the epoch's own time left says it
      const left = perSecond > 0 && !isLast ? (epochs * batches - step) / perSecond : undefined;
      const notes = [left !== undefined && `run ${formatDuration(left)} left`, `loss ${loss.toFixed(4)}`];
      show("step", { label: ofEpochs(epoch), total: batches, unit: "steps" }).update(
        batch,
        notes.filter(Boolean).join("  "),
      );
    } else if (event.kind === "validation") {
      const label = `${ofEpochs(event.epoch)} validation`;
      show("validation", { label, total: event.total, unit: "clips" }).update(event.done);
    } else if (event.kind === "epoch") {
      progress?.shown.done();
      progress = undefined;
      const { epoch, loss, validation } = event.record;
      const metrics = validation
        ? `  mIoU ${validation.miou?.toFixed(4)}  F ${validation.fscore?.toFixed(4)}${event.best ? "  best so far" : ""}`
        : "";
      print(`${ofEpochs(epoch)}  loss ${loss.toFixed(4)}${metrics}`);
    }
  };
}
