/**
 * Videos through workers that are killed at random moments, over a server that is killed, too: does every video end up
 * processed once, completely?
 */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdir, readdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openArchive } from "../../src/archive/archive.js";
import { readRecord, resultFolders } from "../../src/archive/results.js";
import { readStatus } from "../../src/archive/status.js";
import { Random } from "../../src/random.js";
import { makeClips } from "../../test/clips.js";
import type { TestRedis } from "../../test/redis.js";
import { root } from "../../test/support.js";

/** What is tried. */
export interface KillsOptions {
  readonly folder: string;
  readonly server: TestRedis;
  readonly videos: number;
  readonly workers: number;
  /** Workers that are killed with SIGKILL, and restarts of the server (killed in turn with SIGKILL and SIGTERM). */
  readonly kills: number;
  readonly restarts: number;
  /** Longest pause between two of them, in seconds. Default: 4. */
  readonly maxPauseSeconds?: number | undefined;
  readonly seed: number;
  readonly log?: ((line: string) => void) | undefined;
}

/** How it ended. */
export interface KillsResult {
  readonly videos: number;
  /** Videos with complete results, and folders of results: equal when each was processed once. */
  readonly processed: number;
  readonly folders: number;
  /** Files and folders of incomplete results that are left. */
  readonly partial: number;
  readonly failed: number;
  readonly waiting: number;
  /** How often a worker published results, from their logs: `videos` when none was published twice. */
  readonly published: number;
  readonly takenOver: number;
  readonly kills: number;
  readonly restarts: number;
  readonly seconds: number;
}

const signalOf = (restart: number) => (restart % 2 === 0 ? "SIGKILL" : "SIGTERM");

const cli = path.join(root, "dist", "src", "cli", "main.js");

/** Runs it. Throws when a command fails that nobody killed. */
export async function archiveKills(options: KillsOptions): Promise<KillsResult> {
  const {
    folder,
    server,
    videos,
    workers,
    kills,
    restarts,
    maxPauseSeconds = 4,
    log = () => undefined,
  } = options;
  const [source, out] = [path.join(folder, "videos"), path.join(folder, "results")];
  await mkdir(source, { recursive: true });
  makeClips(source, videos);
  const env = { ...process.env, AVSEG_REDIS_URL: server.url };
  const logs: string[] = [];
  const start = (...args: string[]): ChildProcess => {
    const child = spawn(process.execPath, [cli, "archive", ...args], {
      env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const index = logs.push("") - 1;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        logs[index] += text;
      });
    }
    return child;
  };
  const started = performance.now();
  const adding = start("add", source, "--out", out, "--no-overlay");
  if ((await ended(adding)) !== 0) throw new Error(`adding failed: ${logs[0]}`);
  const work = (): ChildProcess =>
    start("work", "--until-empty", "--threads", "1", "--take-over", "3", "--retry-delay", "1");
  /** Waits until a worker has connected: one that starts while the server is away ends with an error. */
  const connected = async (worker: ChildProcess): Promise<void> => {
    while (!logs.at(-1)?.includes("working on")) {
      if (worker.exitCode !== null) throw new Error(`a worker did not start: ${logs.at(-1)}`);
      await sleep(50);
    }
  };
  const crew: ChildProcess[] = [];
  for (let i = 0; i < workers; i++) {
    const worker = work();
    crew.push(worker);
    await connected(worker);
  }
  const random = new Random(options.seed);
  const events: ("kill" | "SIGKILL" | "SIGTERM")[] = [
    ...Array.from({ length: kills }, () => "kill" as const),
    ...Array.from({ length: restarts }, (_, i) => signalOf(i)),
  ];
  for (let left = events.length; left > 0; left--) {
    await sleep(1000 * maxPauseSeconds * random.uniform());
    const [event] = events.splice(random.integer(events.length), 1);
    if (event === undefined) break;
    if (event === "kill") {
      const index = random.integer(crew.length);
      const worker = crew[index];
      if (worker?.exitCode === null) worker.kill("SIGKILL");
      if (worker) await ended(worker);
      const next = work();
      crew[index] = next;
      await connected(next);
      log(`killed worker ${index + 1}`);
    } else {
      await server.restart(event, 500);
      log(`restarted the server after ${event}`);
    }
  }
  const codes = await Promise.all(crew.map(ended));
  if (codes.some((code) => code !== 0))
    throw new Error(`a worker failed: ${codes}\n${logs.slice(-workers).join("\n")}`);
  return {
    ...(await countResults(out, server.url, logs)),
    videos,
    kills,
    restarts,
    seconds: (performance.now() - started) / 1000,
  };
}

async function countResults(out: string, url: string, logs: readonly string[]) {
  const shas = new Set<string>();
  let folders = 0;
  for await (const folder of resultFolders(out)) {
    folders++;
    const record = await readRecord(folder);
    const names = await readdir(folder);
    if (record && names.includes("segments.json") && (await readdir(path.join(folder, "masks"))).length > 0) {
      shas.add(record.sha256);
    }
  }
  const partial = await readdir(path.join(out, ".partial")).catch(() => []);
  const archive = await openArchive({ url });
  const status = await readStatus(archive);
  await archive.close();
  const count = (pattern: RegExp): number =>
    logs.reduce((sum, text) => sum + [...text.matchAll(pattern)].length, 0);
  return {
    processed: shas.size,
    folders,
    partial: partial.length,
    failed: status.failed,
    waiting: status.waiting + status.running + status.retrying,
    published: count(/: finished in /g),
    takenOver: count(/taken over from a worker/g),
  };
}

function ended(child: ChildProcess): Promise<number | null> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve(child.exitCode);
  return new Promise((resolve) => child.once("exit", (code) => resolve(code)));
}
