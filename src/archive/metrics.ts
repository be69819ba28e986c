/** The state of an archive for Prometheus, served on this machine only. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Gauge, Registry } from "prom-client";
import { ArchiveError } from "../errors.js";
import type { Archive } from "./archive.js";
import { type ArchiveStatus, readStatus } from "./status.js";

/** The state in Prometheus's text format. Times and rates that are not known are left out. */
export async function metricsText(status: ArchiveStatus): Promise<string> {
  const registry = new Registry();
  registry.setDefaultLabels({ queue: status.queue });
  const gauge = (name: string, help: string, value: number): void => {
    new Gauge({ name: `avseg_archive_${name}`, help, registers: [registry] }).set(value);
  };
  const videos = new Gauge({
    name: "avseg_archive_videos",
    help: "Videos by state",
    labelNames: ["state"] as const,
    registers: [registry],
  });
  for (const state of ["finished", "waiting", "running", "retrying", "failed"] as const) {
    videos.set({ state }, status[state]);
  }
  const { workers } = status;
  const sum = (of: (worker: ArchiveStatus["workers"][number]) => number): number =>
    workers.reduce((total, worker) => total + of(worker), 0);
  gauge("workers", "Workers that are alive", workers.length);
  gauge(
    "slots",
    "Videos that all workers can process at a time",
    sum(({ slots }) => slots),
  );
  gauge(
    "slots_busy",
    "Videos that they process",
    sum(({ busy }) => busy),
  );
  gauge("videos_per_second", "Finished videos per second, over ten minutes", status.videosPerSecond);
  gauge(
    "steps_per_second",
    "Seconds of video that are processed per second, over ten minutes",
    sum(({ stepsPerSecond }) => stepsPerSecond),
  );
  if (status.secondsLeft !== null) {
    gauge("seconds_left", "Seconds until no video waits or runs", status.secondsLeft);
  }
  return registry.metrics();
}

/** A server of metrics. */
export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `http://127.0.0.1:<port>/metrics`; port 0 takes a free one. Throws `ArchiveError` when the port is taken.
 */
export async function serveMetrics(archive: Archive, port: number): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    const answer = (code: number, text: string, type = "text/plain; charset=utf-8"): void => {
      response.writeHead(code, { "content-type": type }).end(text);
    };
    // A page of another site can send requests here under a name of its own; only programs of this machine may read.
    if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(request.headers.host ?? "")) answer(403, "forbidden\n");
    else if (request.method !== "GET") answer(405, "expected GET\n");
    else if (request.url !== "/metrics") answer(404, "the metrics are under /metrics\n");
    else {
      readStatus(archive, 0)
        .then(metricsText)
        .then(
          (text) => answer(200, text, Registry.PROMETHEUS_CONTENT_TYPE),
          () => answer(503, "the server of the archive cannot be reached\n"),
        );
    }
  });
  await listen(server, port);
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) =>
      reject(
        new ArchiveError(`127.0.0.1:${port}: the port cannot be used (${cause.message})`, {
          hint: "Choose another one with --port.",
          cause,
        }),
      ),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
}
