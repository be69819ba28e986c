/** An archive: videos that wait, run or failed, in a queue of BullMQ. Finished ones live in the folder of results only. */
import { type Job, Queue } from "bullmq";
import type { Redis } from "ioredis";
import { ArchiveError } from "../errors.js";
import { type Plan, parsePlan, planKey } from "./plan.js";
import { type ConnectOptions, connect, parseServer, type ServerOptions } from "./server.js";

/** One video that is to be processed. Kept small: the server holds it in memory. */
export interface VideoJob {
  /** Absolute path. */
  readonly video: string;
  readonly sha256: string;
  readonly bytes: number;
  /** Key of the plan. */
  readonly plan: string;
}

/** What a job reports while it runs, in seconds of video. */
export interface VideoProgress {
  readonly done: number;
  readonly total: number | null;
  readonly worker: string;
}

/** What a finished job returns; the server does not keep it. */
export interface VideoOutcome {
  readonly steps: number;
  /** Whether it was finished by an earlier run. */
  readonly before: boolean;
}

/** A video in the queue. */
export type ArchiveJob = Job<VideoJob, VideoOutcome>;

/** How to open an archive. */
export interface OpenArchiveOptions extends ServerOptions {
  /** Name of the archive on its server. Default: `archive`. */
  readonly queue?: string | undefined;
  /** `true` for workers, which wait until a lost server is back. Default: `false`. */
  readonly patient?: boolean | undefined;
  readonly onConnection?: ConnectOptions["onChange"];
}

/** An open archive. Close it when it is no longer needed. */
export interface Archive {
  readonly name: string;
  /** The server, without credentials, for messages. */
  readonly server: string;
  readonly client: Redis;
  readonly queue: Queue<VideoJob, VideoOutcome>;
  /** The key on the server of something that belongs to the archive. */
  key(name: string): string;
  /** Stores a plan and returns its key. Throws `ArchiveError` when its results already go to another folder. */
  addPlan(plan: Plan): Promise<string>;
  /** All plans by key. Throws `ArchiveError` for one of another version. */
  plans(): Promise<Map<string, Plan>>;
  close(): Promise<void>;
}

/** What all keys of archives on a server begin with. */
export const keyPrefix = "avseg";

/** Opens an archive, which need not exist yet. Throws `ArchiveError` when its server cannot be used. */
export async function openArchive(options: OpenArchiveOptions = {}): Promise<Archive> {
  const { queue: name = "archive", patient = false, onConnection } = options;
  if (!/^[\w.-]{1,100}$/.test(name)) {
    throw new ArchiveError(`"${name}" cannot be the name of an archive`, {
      hint: "Use letters, digits, points and dashes with --queue.",
    });
  }
  const address = parseServer(options);
  const { client, disconnect } = await connect(address, { patient, onChange: onConnection });
  const queue = new Queue<VideoJob, VideoOutcome>(name, { connection: client, prefix: keyPrefix });
  // Its errors are those of the connection, which reconnects; commands that fail throw.
  queue.on("error", () => undefined);
  const key = (part: string): string => `${keyPrefix}:${name}:avseg-${part}`;
  return {
    name,
    server: address.label,
    client,
    queue,
    key,
    async addPlan(plan) {
      const id = planKey(plan);
      await client.hsetnx(key("plans"), id, JSON.stringify(plan));
      const stored = parsePlan((await client.hget(key("plans"), id)) ?? "null");
      if (stored.out === plan.out) return id;
      throw new ArchiveError(`results of this model already go to ${stored.out}, not to ${plan.out}`, {
        hint: `Add with --out ${stored.out}, or make another archive with --queue NAME.`,
      });
    },
    async plans() {
      const stored = await client.hgetall(key("plans"));
      return new Map(Object.entries(stored).map(([id, json]) => [id, parsePlan(json)]));
    },
    async close() {
      await queue.close();
      disconnect();
    },
  };
}
