/** `avseg archive status` and `retry`. */
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Command } from "commander";
import type { ArchiveStatus, RunningVideo } from "../archive/status.js";
import { type ArchiveCommandOptions, archiveOptions, withArchive } from "./archive-options.js";
import { integer } from "./options.js";
import { oneLine, print, printJson, printJsonLine } from "./print.js";
import { formatDuration } from "./progress.js";
import { interruptSignal, warn } from "./run.js";

interface StatusOptions extends ArchiveCommandOptions {
  readonly watch?: boolean | undefined;
  readonly json?: boolean | undefined;
  readonly failures: number;
}

const watchMs = 2000;

/** The `archive status` command. */
export function statusCommand(): Command {
  return archiveOptions(
    new Command("status")
      .description("show counts, workers, time left, running and failed videos")
      .option("--watch", "show it every two seconds until nothing waits or runs")
      .option("--json", "print JSON; with --watch, one object a line")
      .option("--failures <n>", "failed videos to list", integer(0, 10_000), 20),
  )
    .addHelpText(
      "after",
      `
Examples:
  avseg archive status --watch
  avseg archive status --json --failures 1000 | jq -r '.failures[].video'`,
    )
    .action(status);
}

async function status(options: StatusOptions): Promise<void> {
  const signal = interruptSignal();
  const { readStatus } = await import("../archive/status.js");
  await withArchive(options, async (archive) => {
    for (;;) {
      const now = await readStatus(archive, options.failures);
      show(now, options);
      if (!options.watch || now.waiting + now.running + now.retrying === 0 || signal.aborted) return;
      const stopped = await sleep(watchMs, false, { signal }).catch(() => true);
      if (stopped) return;
    }
  });
}

function show(now: ArchiveStatus, { json, watch }: StatusOptions): void {
  if (json && watch) printJsonLine(now);
  else if (json) printJson(now);
  else {
    // On a terminal each state replaces the one before; elsewhere they follow each other.
    if (watch && process.stdout.isTTY) process.stdout.write("\x1b[H\x1b[2J");
    print(describeStatus(now));
  }
}

/** The state of an archive, in lines. */
export function describeStatus(now: ArchiveStatus): string[] {
  const { finished, waiting, running, retrying, failed, workers, videosPerSecond, secondsLeft } = now;
  const total = finished + waiting + running + retrying + failed;
  const percent = total === 0 ? 0 : Math.floor((100 * finished) / total);
  const slots = workers.reduce((sum, worker) => sum + worker.slots, 0);
  const pace = videosPerSecond > 0 ? `, ${(3600 * videosPerSecond).toFixed(0)} videos an hour` : "";
  const left = secondsLeft === null ? "unknown" : formatDuration(secondsLeft);
  return [
    `${now.queue} at ${now.server}`,
    `  ${finished} of ${total} finished (${percent}%), ${waiting} waiting, ${running} running, ${retrying} to be tried again, ${failed} failed`,
    `  ${workers.length} workers with ${slots} slots${pace}; time left: ${secondsLeft === 0 ? "none, nothing waits or runs" : left}`,
    ...workers.map(
      ({ host, pid, busy, slots: own, finished: done }) =>
        `  worker ${pid} on ${host}: ${busy} of ${own} slots busy, ${done} finished`,
    ),
    ...now.videos.map((video) => `  running ${describeRunning(video)}`),
    ...now.failures.flatMap(({ error, hint, attempts }) => [
      `  failed ${oneLine(error)}${attempts > 1 ? ` (after ${attempts} attempts)` : ""}`,
      `    ${hint}`,
    ]),
    ...(failed > now.failures.length && now.failures.length > 0
      ? [`  and ${failed - now.failures.length} more failures; list them with --failures ${failed}`]
      : []),
  ];
}

function describeRunning({ video, worker, done, total, seconds }: RunningVideo): string {
  const part = total === null ? `${done.toFixed(0)} s` : `${Math.min(100, (100 * done) / total).toFixed(0)}%`;
  return `${path.basename(video)}: ${part} in ${formatDuration(seconds)}${worker ? ` by ${worker}` : ""}`;
}

/** The `archive retry` command. */
export function retryCommand(): Command {
  return archiveOptions(
    new Command("retry")
      .description("put failed videos back into the queue")
      .argument("[video...]", "paths, or keys from `archive status --json` (default: all failed videos)"),
  )
    .addHelpText(
      "after",
      `
Examples:
  avseg archive retry
  avseg archive retry /videos/interview.mp4`,
    )
    .action(retry);
}

async function retry(names: string[], options: ArchiveCommandOptions): Promise<void> {
  const { retryFailed } = await import("../archive/retry.js");
  await withArchive(options, async (archive) => {
    const { retried, unknown } = await retryFailed(
      archive,
      names.map((name) => (/[/\\.]/.test(name) ? path.resolve(name) : name)),
    );
    for (const name of unknown) warn(`${name}: no failed video of this path or key`);
    print(retried === 1 ? "1 video waits again" : `${retried} videos wait again`);
    if (unknown.length > 0) process.exitCode = 1;
  });
}
