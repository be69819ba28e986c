/** `avseg archive`: thousands of videos by many workers. `archive-status.ts` and others beside it hold its subcommands. */
import { availableParallelism, totalmem } from "node:os";
import path from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Archive } from "../archive/archive.js";
import type { WorkEvent } from "../archive/work.js";
import { type NodeProvider, nodeProviders } from "../runtime/providers.js";
import { exportResultsCommand, metricsCommand } from "./archive-export.js";
import {
  type ArchiveCommandOptions,
  archiveOptions,
  titleWithoutAddress,
  withArchive,
} from "./archive-options.js";
import { retryCommand, statusCommand } from "./archive-status.js";
import { modelOptions, warnOfCache } from "./configured-model.js";
import { audioEncoderOption } from "./model-options.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress, formatBytes, formatDuration } from "./progress.js";
import { interruptSignal, warn } from "./run.js";

/** The `archive` command. */
export function archiveCommand(): Command {
  return new Command("archive")
    .description("segment thousands of videos with many workers, over a queue on Redis or Valkey")
    .addHelpText(
      "after",
      `
Examples:
  export AVSEG_REDIS_URL=redis://:password@queue.example
  avseg archive add /videos --out /results --checkpoint S4_pvt.pth
  avseg archive work --concurrency 2       (on each machine)
  avseg archive status --watch
  avseg archive export /results results.parquet`,
    )
    .addCommand(addCommand())
    .addCommand(workCommand())
    .addCommand(statusCommand())
    .addCommand(retryCommand())
    .addCommand(exportResultsCommand())
    .addCommand(metricsCommand())
    .hook("preSubcommand", titleWithoutAddress);
}

interface AddCommandOptions extends ArchiveCommandOptions {
  readonly out: string;
  readonly checkpoint?: string | undefined;
  readonly config?: string | undefined;
  readonly audioEncoder?: string | undefined;
  readonly overlay: boolean;
  readonly silenceGate: boolean;
  readonly attempts: number;
  readonly maxWaiting: number;
}

function addCommand(): Command {
  return archiveOptions(
    new Command("add")
      .description("add videos to the queue; those that are in it, or finished, are left out")
      .argument(
        "<source...>",
        "folders, videos, text files with a path per line, or - for such lines on standard input",
      )
      .requiredOption("--out <dir>", "folder of the results, the same for all workers")
      .option("--checkpoint <file>", "the model, as for `avseg segment` (default: the natural model)")
      .option("--config <file>", "configuration of the model, where the checkpoint does not hold its own")
      .addOption(audioEncoderOption())
      .option("--no-overlay", "write masks and segments.json only")
      .option("--no-silence-gate", "keep what the model predicts for silent seconds")
      .option(
        "--attempts <n>",
        "how often a video is tried that ends in a crash or at a limit",
        integer(1, 100),
        3,
      )
      .option("--max-waiting <n>", "pause while so many videos wait", integer(1), 100_000),
  )
    .addHelpText(
      "after",
      `
Examples:
  avseg archive add /videos --out /results
  find /videos -name '*.mp4' -newer last-run | avseg archive add - --out /results --no-overlay`,
    )
    .action(add);
}

async function add(sources: string[], options: AddCommandOptions): Promise<void> {
  const signal = interruptSignal(
    "Videos that were added stay in the queue; run the command again for the others.",
  );
  const { addVideos } = await import("../archive/add.js");
  const { findVideos } = await import("../archive/find-videos.js");
  const { makePlan } = await import("../archive/plan.js");
  const { out, checkpoint, overlay, silenceGate } = options;
  const model = await modelOptions(options);
  const plan = await makePlan({ out, checkpoint, overlay, silenceGate, ...model }, signal);
  async function* videos(): AsyncGenerator<string> {
    for (const source of sources) yield* findVideos(source, { except: plan.out });
  }
  await withArchive(options, async (archive) => {
    await warnOfMemory(archive);
    const progress = createProgress("adding", undefined, { unit: "videos" });
    const counts = await addVideos(archive, videos(), {
      plan,
      attempts: options.attempts,
      maxWaiting: options.maxWaiting,
      signal,
      onProgress: ({ seen }, paused) =>
        progress.update(seen, paused ? "the queue is full, waiting for workers" : ""),
      onUnreadable: ({ message }) => progress.log(`avseg: warning: ${message}`),
    });
    progress.done();
    const rest = [
      [counts.queued, "in the queue already"],
      [counts.finished, "finished already"],
      [counts.failed, "failed before (run `avseg archive retry` to try them again)"],
      [counts.unreadable, "not readable"],
    ] as const;
    const others = rest.filter(([count]) => count > 0).map(([count, what]) => `${count} ${what}`);
    print([`added ${counts.added} of ${counts.seen} videos`, ...others.map((line) => `  ${line}`)]);
    if (counts.seen === 0) warn("no videos were found");
    if (counts.unreadable > 0 || counts.seen === 0) process.exitCode = 1;
  });
}

/** Warns of a server that forgets the queue when it restarts. */
async function warnOfMemory({ client, server }: Archive): Promise<void> {
  const { keepsOnDisk } = await import("../archive/server.js");
  if ((await keepsOnDisk(client)) === false) {
    warn(
      `${server} keeps no append-only file: what it holds may be lost when it ends (set \`appendonly yes\`)`,
    );
  }
}

interface WorkCommandOptions extends ArchiveCommandOptions {
  readonly concurrency: number;
  readonly threads?: number | undefined;
  readonly provider: NodeProvider;
  readonly checkpoint?: string | undefined;
  readonly maxMemory?: number | undefined;
  readonly maxMinutes: number;
  readonly takeOver: number;
  readonly retryDelay: number;
  readonly untilEmpty?: boolean | undefined;
}

function positive(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError("expected a number above 0");
}

function workCommand(): Command {
  return archiveOptions(
    new Command("work")
      .description("take videos from the queue and segment them, until SIGTERM or Ctrl-C")
      .option(
        "--concurrency <n>",
        "videos at a time, each with a model in a process of its own",
        integer(1, 1024),
        1,
      )
      .option(
        "--threads <n>",
        "threads of each model (default: the cores, divided by --concurrency)",
        integer(1),
      )
      .addOption(new Option("--provider <name>", "what runs the model").choices(nodeProviders).default("cpu"))
      .option("--checkpoint <file>", "the model on this machine, where it lies elsewhere than the queue says")
      .option(
        "--max-memory <GB>",
        "memory of one video, decoders included (default: 90% of the machine's, divided by --concurrency)",
        positive,
      )
      .option("--max-minutes <n>", "time of one video", positive, 360)
      .option("--take-over <seconds>", "give a video to another worker after so long a silence", positive, 30)
      .option(
        "--retry-delay <seconds>",
        "pause before a failed video is tried again, doubled each time",
        positive,
        10,
      )
      .option("--until-empty", "end when no video waits or runs any more"),
  )
    .addHelpText(
      "after",
      `
The first SIGTERM or Ctrl-C lets the videos that run finish; a second one ends at once, and others take them over.

Examples:
  avseg archive work --concurrency 4 --max-memory 3
  avseg archive work --redis rediss://queue.example --tls-ca ca.pem --until-empty`,
    )
    .action(work);
}

async function work(options: WorkCommandOptions): Promise<void> {
  const signal = interruptSignal();
  const { work: run } = await import("../archive/work.js");
  const { concurrency } = options;
  const memoryBytes =
    options.maxMemory === undefined ? (0.9 * totalmem()) / concurrency : options.maxMemory * 1e9;
  const threads = options.threads ?? Math.max(1, Math.floor(availableParallelism() / concurrency));
  const onConnection = (connected: boolean): void => {
    if (connected) print("the server is back");
    else warn("the connection to the server is lost; trying to connect again");
  };
  await warnOfCache();
  await withArchive({ ...options, patient: true, onConnection }, async (archive) => {
    print(`working on ${archive.name} at ${archive.server}, ${concurrency} at a time`);
    const { finished, failed } = await run(archive, {
      concurrency,
      limits: { memoryBytes, seconds: options.maxMinutes * 60 },
      runtime: { provider: options.provider, threads },
      checkpoint: options.checkpoint && path.resolve(options.checkpoint),
      takeOverSeconds: options.takeOver,
      retrySeconds: options.retryDelay,
      untilEmpty: options.untilEmpty,
      signal,
      onEvent: (event) => print(describeEvent(event)),
    });
    print(`${finished} finished, ${failed} failed`);
  });
}

/** A line of a worker's log. */
function describeEvent(event: WorkEvent): string[] {
  switch (event.type) {
    case "started":
      return [`${event.video}: started${event.attempt > 1 ? ` (attempt ${event.attempt})` : ""}`];
    case "finished": {
      const { soundingSteps, steps, seconds, peakMemoryBytes } = event.run;
      return [
        `${event.video}: finished in ${formatDuration(seconds)}, ${formatBytes(peakMemoryBytes)} at most; something sounds in ${soundingSteps} of ${steps} seconds; ${event.folder}`,
      ];
    }
    case "already":
      return [`${event.video}: was finished already; ${event.folder}`];
    case "failed":
      return [`${event.failure.message}; ${event.final ? "it has failed" : "it will be tried again"}`];
    case "returned":
      return [`${event.video}: given back to the queue`];
    case "taken over":
      return [`${event.key}: taken over from a worker that is silent`];
    case "trouble":
      return [event.message];
  }
}
