/** `avseg archive export` and `metrics`. */
import { once } from "node:events";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Command } from "commander";
import { OutputError } from "../errors.js";
import { errorCode } from "../node/system-error.js";
import { type ArchiveCommandOptions, archiveOptions, withArchive } from "./archive-options.js";
import { integer } from "./options.js";
import { print } from "./print.js";
import { createProgress } from "./progress.js";
import { interruptSignal, warn } from "./run.js";

/** The `archive export` command. */
export function exportResultsCommand(): Command {
  return new Command("export")
    .description("write all results as one table, a row for each object in each mask; needs no server")
    .argument("<results>", "folder of the results, as given to `add` with --out")
    .argument("<file>", "table.parquet, table.jsonl, or - for JSON lines on standard output")
    .addHelpText(
      "after",
      `
Examples:
  avseg archive export /results results.parquet
  avseg archive export /results - | jq -r 'select(.confidence > 0.9) | .video' | sort -u`,
    )
    .action(exportTable);
}

async function exportTable(results: string, file: string): Promise<void> {
  const signal = interruptSignal("No table was written; run the command again.");
  if (!(await stat(results).catch(() => undefined))?.isDirectory()) {
    throw new OutputError(`${results}: no such folder`, {
      hint: "Give the folder that `archive add --out` named.",
    });
  }
  if (file === "-") {
    const { jsonLines } = await import("../archive/export-results.js");
    const { resultRows } = await import("../archive/result-rows.js");
    const lines = Readable.from(jsonLines(resultRows(results, { signal })));
    await pipeline(lines, process.stdout, { end: false }).catch((error: unknown) => {
      // `| head` has read enough, which is not a failure.
      if (errorCode(process.stdout.errored ?? error) !== "EPIPE") throw error;
    });
    return;
  }
  if (!/\.(parquet|jsonl)$/.test(file)) {
    throw new OutputError(`${file}: expected a name that ends in .parquet or .jsonl`, {
      hint: "The name says which of the two formats is written.",
    });
  }
  const { exportResults } = await import("../archive/export-results.js");
  const progress = createProgress("exporting", undefined, { unit: "videos" });
  const { videos, rows } = await exportResults(results, file, {
    signal,
    onVideo: (done) => progress.update(done),
  });
  progress.done();
  if (videos === 0) warn(`${results}: it holds no results`);
  print(`wrote ${rows} rows of ${videos} videos to ${file}`);
}

interface MetricsOptions extends ArchiveCommandOptions {
  readonly port: number;
}

/** The `archive metrics` command. */
export function metricsCommand(): Command {
  return archiveOptions(
    new Command("metrics")
      .description("serve the state of the archive to Prometheus on this machine, until Ctrl-C")
      .option("--port <n>", "port on 127.0.0.1", integer(0, 65_535), 9464),
  )
    .addHelpText(
      "after",
      `
Example:
  avseg archive metrics --port 9464      (then let Prometheus scrape 127.0.0.1:9464)`,
    )
    .action(metrics);
}

async function metrics(options: MetricsOptions): Promise<void> {
  const signal = interruptSignal();
  const { serveMetrics } = await import("../archive/metrics.js");
  await withArchive({ ...options, patient: true }, async (archive) => {
    const server = await serveMetrics(archive, options.port);
    print(`serving http://127.0.0.1:${server.port}/metrics`);
    if (!signal.aborted) await once(signal, "abort");
    await server.close();
  });
}
