/** The heartbeat of a worker: who works, on how much, and how fast, for `archive status` on any machine. */
import { hostname } from "node:os";
import * as z from "zod";
import type { Archive } from "./archive.js";

const beatSchema = z.object({
  name: z.string(),
  host: z.string(),
  pid: z.number(),
  slots: z.number(),
  busy: z.number(),
  finished: z.number(),
  /** Videos and seconds of video per second, over the last ten minutes. */
  videosPerSecond: z.number(),
  stepsPerSecond: z.number(),
  /** By the server's clock, in milliseconds. */
  at: z.number(),
});

/** What a worker says of itself. */
export type Beat = Readonly<z.infer<typeof beatSchema>>;

const beatMs = 2000;
/** A worker that has been silent for so long is gone. */
const goneMs = 15_000;
/** Stretch over which the pace is measured. */
const paceMs = 600_000;

/** The beats of one worker. */
export class Heart {
  readonly #archive: Archive;
  readonly #name: string;
  readonly #slots: number;
  readonly #done: { readonly at: number; readonly steps: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #firstAt: number | undefined;
  #busy = 0;
  #finished = 0;
  /** While the server is away, a beat waits for it, and no other is started. */
  #beating: Promise<void> | undefined;

  constructor(archive: Archive, { name, slots }: { readonly name: string; readonly slots: number }) {
    this.#archive = archive;
    this.#name = name;
    this.#slots = slots;
  }

  start(): void {
    this.#timer = setInterval(() => this.#beatOnce(), beatMs);
    this.#beatOnce();
  }

  /** A video begins; its end counts whether it succeeded or not. */
  begin(): void {
    this.#firstAt ??= performance.now();
    this.#busy++;
  }

  end(): void {
    this.#busy--;
  }

  finished(steps: number): void {
    this.#finished++;
    this.#done.push({ at: performance.now(), steps });
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#beating;
    await this.#archive.client.hdel(this.#archive.key("workers"), this.#name).catch(() => undefined);
  }

  #beatOnce(): void {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
  }

  async #beat(): Promise<void> {
    const now = performance.now();
    while (this.#done[0] && this.#done[0].at < now - paceMs) this.#done.shift();
    const seconds = Math.max(1, Math.min(paceMs, now - (this.#firstAt ?? now)) / 1000);
    const { client } = this.#archive;
    try {
      const beat: Beat = {
        name: this.#name,
        host: hostname(),
        pid: process.pid,
        slots: this.#slots,
        busy: this.#busy,
        finished: this.#finished,
        videosPerSecond: this.#done.length / seconds,
        stepsPerSecond: this.#done.reduce((sum, { steps }) => sum + steps, 0) / seconds,
        at: await serverTime(this.#archive),
      };
      await client.hset(this.#archive.key("workers"), this.#name, JSON.stringify(beat));
    } catch {
      // The next beat is soon.
    }
  }
}

/** The server's clock in milliseconds: those of workers may differ. */
async function serverTime({ client }: Archive): Promise<number> {
  const [seconds, microseconds] = await client.time();
  return Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
}

/** The workers that are alive, by name. Forgets those that are gone. */
export async function livingWorkers(archive: Archive): Promise<Beat[]> {
  const { client } = archive;
  const [now, stored] = [await serverTime(archive), await client.hgetall(archive.key("workers"))];
  const beats: Beat[] = [];
  for (const [name, json] of Object.entries(stored)) {
    const beat = beatSchema.safeParse(JSON.parse(json)).data;
    if (beat && now - beat.at < goneMs) beats.push(beat);
    else await client.hdel(archive.key("workers"), name);
  }
  return beats.sort((a, b) => (a.name < b.name ? -1 : 1));
}
