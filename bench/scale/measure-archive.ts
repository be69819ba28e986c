/** The constants of the simulation of archives, measured on this machine, and how its predictions agree with real runs. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { addVideos } from "../../src/archive/add.js";
import { type Archive, openArchive } from "../../src/archive/archive.js";
import { makePlan } from "../../src/archive/plan.js";
import { readRecord, resultFolders } from "../../src/archive/results.js";
import type { VideoSlot } from "../../src/archive/slot.js";
import { work } from "../../src/archive/work.js";
import { Random } from "../../src/random.js";
import { DEMO_MODEL } from "../../src/segment/node/shipped-models.js";
import { makeClips } from "../../test/clips.js";
import { startRedis, type TestRedis } from "../../test/redis.js";
import { root } from "../../test/support.js";
import { tempDir } from "../../test/temp-dir.js";
import { type ArchiveModel, simulateArchive } from "./simulate-archive.js";

/** What the server needs, by its own account. */
export interface ServerConstants {
  readonly waitingJobs: number;
  readonly bytesPerWaitingJob: number;
  readonly jobsAddedPerSecond: number;
  readonly commandsPerVideo: number;
  readonly processorSecondsPerVideo: number;
  readonly commandsPerSlotSecond: number;
  readonly processorSecondsPerSlotSecond: number;
}

/** What a video of one minute needs, without the model. */
export interface MinuteConstants {
  readonly video: string;
  readonly videoBytes: number;
  readonly processorSeconds: number;
  readonly peakMemoryBytes: number;
  /** Of the results, with and without the overlay. */
  readonly resultBytes: number;
  readonly resultBytesWithoutOverlay: number;
  readonly resultFiles: number;
}

/** A run and its prediction. */
export interface Agreement {
  readonly workers: number;
  readonly measuredSeconds: number;
  readonly predictedSeconds: number;
  /** Other threads that computed at the time, where cores were shared. */
  readonly otherProcesses?: number;
}

/** Runs of real workers, and the constants of their predictions. */
export interface AtWork {
  /** Processor times of a video, and of start and opening; the cores that a worker keeps busy when it has them. */
  readonly constants: {
    readonly perVideo: number;
    readonly openSeconds: number;
    readonly coresPerSlot: number;
  };
  readonly agreements: readonly Agreement[];
}

interface Scope {
  after(work: () => Promise<void>): void;
}

/** A slot that takes the seconds that `secondsOf` says, without a model, and writes one small file. */
function sleepingSlot(secondsOf: (video: string) => number): VideoSlot {
  return {
    async run({ video, folder }, onProgress) {
      const seconds = secondsOf(video);
      for (let done = 0; done < seconds; done += 2) {
        if (done > 0) onProgress?.(done, seconds);
        await sleep(1000 * Math.min(2, seconds - done));
      }
      await mkdir(folder, { recursive: true });
      await writeFile(path.join(folder, "segments.json"), "{}");
      return { modelDescription: "none", steps: 1, soundingSteps: 0, peakMemoryBytes: 0, seconds };
    },
    close: async () => undefined,
  };
}

interface ServerUse {
  readonly commands: number;
  readonly seconds: number;
  readonly bytes: number;
}

async function useOf({ client }: Archive): Promise<ServerUse> {
  const info = await client.info();
  const number = (name: string): number => Number(new RegExp(`^${name}:([\\d.]+)`, "m").exec(info)?.[1]);
  return {
    commands: number("total_commands_processed"),
    seconds: number("used_cpu_user") + number("used_cpu_sys"),
    bytes: number("used_memory"),
  };
}

/** Files that the queue takes for videos. */
async function writeNumbers(folder: string, count: number): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const files = Array.from({ length: count }, (_, i) => path.join(folder, `recording-2026-${i}.mp4`));
  for (const file of files) await writeFile(file, file);
  return files;
}

/** Works an archive off with sleeping slots, each worker with a connection of its own, as processes have. */
async function workOff(
  { url }: TestRedis,
  queue: string,
  { workers, slots, secondsOf }: { workers: number; slots: number; secondsOf: (video: string) => number },
): Promise<number> {
  const archives = await Promise.all(
    Array.from({ length: workers }, () => openArchive({ url, queue, patient: true })),
  );
  const started = performance.now();
  await Promise.all(
    archives.map((archive) =>
      work(archive, {
        concurrency: slots,
        limits: { memoryBytes: 1e12, seconds: 1e6 },
        runtime: {},
        untilEmpty: true,
        createSlot: () => sleepingSlot(secondsOf),
      }),
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  await Promise.all(archives.map((archive) => archive.close()));
  return seconds;
}

/** Memory and commands of the server for a job, and for a slot at work. */
export async function measureServer(scope: Scope): Promise<ServerConstants> {
  const dir = await tempDir(scope);
  // Synced once a second, as is usual.
  const server = await startRedis(scope, { args: ["--appendfsync", "everysec"] });
  const waitingJobs = 10_000;
  const files = await writeNumbers(path.join(dir, "videos"), waitingJobs);
  const plan = await makePlan({ checkpoint: DEMO_MODEL.file, out: path.join(dir, "results") });
  const many = await openArchive({ url: server.url, queue: "many" });
  const empty = await useOf(many);
  const adding = performance.now();
  await addVideos(many, files, { plan });
  const addSeconds = (performance.now() - adding) / 1000;
  const full = await useOf(many);
  await many.close();

  const few = await openArchive({ url: server.url, queue: "few" });
  const count = 200;
  const added = await useOf(few);
  await addVideos(few, files.slice(0, count), { plan });
  await workOff(server, "few", { workers: 1, slots: 4, secondsOf: () => 0 });
  const done = await useOf(few);
  const commandsPerVideo = (done.commands - added.commands) / count;
  const processorSecondsPerVideo = (done.seconds - added.seconds) / count;

  const [slots, slotSeconds] = [100, 30];
  await addVideos(few, files.slice(count, count + slots), { plan });
  const before = await useOf(few);
  await workOff(server, "few", { workers: 1, slots, secondsOf: () => slotSeconds });
  const after = await useOf(few);
  await few.close();
  const perSlotSecond = (total: number, perVideo: number): number =>
    Math.max(0, total - perVideo * slots) / (slots * slotSeconds);
  return {
    waitingJobs,
    bytesPerWaitingJob: (full.bytes - empty.bytes) / waitingJobs,
    jobsAddedPerSecond: waitingJobs / addSeconds,
    commandsPerVideo,
    processorSecondsPerVideo,
    commandsPerSlotSecond: perSlotSecond(after.commands - before.commands, commandsPerVideo),
    processorSecondsPerSlotSecond: perSlotSecond(after.seconds - before.seconds, processorSecondsPerVideo),
  };
}

const still: Omit<ArchiveModel, "videos" | "workers" | "videoSeconds"> = {
  slotsPerWorker: 1,
  coresPerWorker: Number.POSITIVE_INFINITY,
  startSeconds: 0,
  openSeconds: 0,
  waitSeconds: 0,
  serverSecondsPerVideo: 0,
  serverSecondsPerSlotSecond: 0,
};

/** Slots that sleep for random times: what the queue, the locks and the publishing of results add, on 1 to 4 workers. */
export async function agreeAsleep(scope: Scope, constants: ServerConstants): Promise<Agreement[]> {
  const dir = await tempDir(scope);
  const server = await startRedis(scope);
  const videos = 60;
  const random = new Random(14);
  const files = await writeNumbers(path.join(dir, "videos"), videos);
  const times = new Map(files.map((file) => [file, 0.3 * Math.exp(0.8 * random.normal())]));
  const secondsOf = (video: string): number => times.get(video) ?? 0;
  const run = async (workers: number): Promise<number> => {
    const queue = `asleep-${workers}`;
    const archive = await openArchive({ url: server.url, queue });
    await addVideos(archive, files, {
      plan: await makePlan({ checkpoint: DEMO_MODEL.file, out: path.join(dir, queue) }),
    });
    await archive.close();
    return workOff(server, queue, { workers, slots: 1, secondsOf });
  };
  const measured = [await run(1), await run(2), await run(3), await run(4)];
  const sum = files.reduce((all, file) => all + secondsOf(file), 0);
  // What one worker takes beside the videos is the wait for each of them; its predictions are those for the others.
  const waitSeconds = Math.max(0, (measured[0] ?? 0) - sum - 0.5) / videos;
  return measured.map((measuredSeconds, i) => ({
    workers: i + 1,
    measuredSeconds,
    predictedSeconds:
      // A worker looks once a second whether it is done: half of that on average.
      0.5 +
      simulateArchive({
        ...still,
        videos,
        workers: i + 1,
        videoSeconds: (video) => secondsOf(files[video] ?? ""),
        waitSeconds,
        serverSecondsPerVideo: constants.processorSecondsPerVideo,
        serverSecondsPerSlotSecond: constants.processorSecondsPerSlotSecond,
      }).seconds,
  }));
}

const cli = path.join(root, "dist", "src", "cli", "main.js");

/** Runs commands of avseg side by side. Returns the time, and the processor's time with all descendants. */
async function timed(
  url: string,
  commands: readonly (readonly string[])[],
): Promise<{ readonly seconds: number; readonly processorSeconds: number }> {
  const started = performance.now();
  const used = await Promise.all(
    commands.map(
      (args) =>
        new Promise<number>((resolve, reject) => {
          const quoted = [process.execPath, cli, "archive", ...args].map((arg) => `'${arg}'`).join(" ");
          const child = spawn("bash", ["-c", `TIMEFORMAT='%U %S'; time ${quoted} >/dev/null 2>&1`], {
            env: { ...process.env, AVSEG_REDIS_URL: url },
            stdio: ["ignore", "ignore", "pipe"],
          });
          let text = "";
          child.stderr.setEncoding("utf8").on("data", (piece: string) => {
            text += piece;
          });
          child.once("close", (code) => {
            const [user, system] = text.trim().split(" ").map(Number);
            if (code === 0 && user !== undefined && system !== undefined) resolve(user + system);
            else reject(new Error(`avseg archive ${args[0]} failed: ${text}`));
          });
        }),
    ),
  );
  return {
    seconds: (performance.now() - started) / 1000,
    processorSeconds: used.reduce((sum, one) => sum + one, 0),
  };
}

/**
 * How many threads of equal weight seem to compute beside this process: from what as many loops as the machine has cores
 * get of them. One loop would not do: it has a core to itself while up to `cores - 1` others compute. Counting processes would
 * not do either: those of low priority (`nice`) take less.
 */
async function otherProcesses(cores: number): Promise<number> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const loop = `while (Atomics.load(require("node:worker_threads").workerData, 0) === 0);`;
  const loops = Array.from({ length: cores }, () => new Worker(loop, { eval: true, workerData: stop }));
  await Promise.all(loops.map((worker) => once(worker, "online")));
  const [started, used] = [performance.now(), process.cpuUsage()];
  await sleep(3000);
  const { user, system } = process.cpuUsage(used);
  const got = (user + system) / 1000 / (performance.now() - started);
  Atomics.store(stop, 0, 1);
  await Promise.all(loops.map((worker) => once(worker, "exit")));
  return Math.max(0, (cores * (cores - got)) / got);
}

/** Cores that one worker keeps busy when it has them, from those it got beside others. */
function coresOf(got: number, cores: number, others: number): number {
  return got + others <= cores ? got : (got * others) / Math.max(1e-6, cores - got);
}

/** Real workers with the demo model, one thread each, that share this machine's cores with whatever else runs. */
export async function agreeAtWork(scope: Scope, cores: number): Promise<AtWork> {
  const dir = await tempDir(scope);
  const server = await startRedis(scope);
  const clips = async (count: number): Promise<string> => {
    const folder = path.join(dir, `videos-${count}`);
    await mkdir(folder);
    makeClips(folder, count, 2);
    return folder;
  };
  const run = async (folder: string, workers: number) => {
    const queue = `work-${path.basename(folder)}-${workers}`;
    await timed(server.url, [["add", folder, "--out", path.join(dir, queue), "--queue", queue]]);
    const others = await otherProcesses(cores);
    const args = ["work", "--queue", queue, "--until-empty", "--threads", "1"];
    const use = await timed(
      server.url,
      Array.from({ length: workers }, () => args),
    );
    return { ...use, others: (others + (await otherProcesses(cores))) / 2 };
  };
  const [few, many] = [2, 8];
  const [short, long] = [await clips(few), await clips(many)];
  // Start and opening, a video, and the cores that a worker keeps busy, from two runs of one worker.
  const first = await run(short, 1);
  const runs = [await run(long, 1), await run(long, 2), await run(long, 3), await run(long, 4)];
  const one = runs[0] ?? first;
  const perVideo = (one.processorSeconds - first.processorSeconds) / (many - few);
  const openSeconds = Math.max(0, first.processorSeconds - few * perVideo);
  // A worker looks once a second whether it is done: half of that on average.
  const looking = 0.5;
  const coresPerSlot = coresOf(first.processorSeconds / (first.seconds - looking), cores, first.others);
  const constants = { perVideo, openSeconds, coresPerSlot };
  const agreements = runs.map(({ seconds, others }, i) => ({
    workers: i + 1,
    measuredSeconds: seconds,
    otherProcesses: others,
    predictedSeconds:
      looking +
      simulateArchive({
        ...still,
        videos: many,
        workers: i + 1,
        coresPerWorker: cores,
        oneMachine: true,
        otherProcesses: others,
        coresPerSlot,
        openSeconds,
        videoSeconds: () => perVideo,
      }).seconds,
  }));
  return { constants, agreements };
}

/** One minute of 1280x720 through a worker with the demo model, whose own part is small. */
export async function measureMinute(scope: Scope): Promise<MinuteConstants> {
  const dir = await tempDir(scope);
  const server = await startRedis(scope);
  const folder = path.join(dir, "videos");
  await mkdir(folder);
  const video = path.join(folder, "minute.mp4");
  const sources = ["-f", "lavfi", "-i", "testsrc2=s=1280x720:r=25:d=60", "-f", "lavfi", "-i", "sine=d=60"];
  const codecs = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-c:a", "aac"];
  spawnSync("ffmpeg", ["-nostdin", "-v", "error", ...sources, ...codecs, video], { stdio: "inherit" });
  const out = path.join(dir, "results");
  await timed(server.url, [["add", folder, "--out", out]]);
  const { processorSeconds } = await timed(server.url, [["work", "--until-empty", "--threads", "1"]]);
  for await (const result of resultFolders(out)) {
    const record = await readRecord(result);
    const files = await readdir(result, { recursive: true, withFileTypes: true });
    const sizes = await Promise.all(
      files
        .filter((file) => file.isFile())
        .map(async ({ parentPath, name }) => ({
          name,
          bytes: (await stat(path.join(parentPath, name))).size,
        })),
    );
    const bytes = (some: typeof sizes): number => some.reduce((sum, file) => sum + file.bytes, 0);
    return {
      video: "60 s, 1280x720, 25 frames per second, H.264",
      videoBytes: (await stat(video)).size,
      processorSeconds,
      peakMemoryBytes: record?.peakMemoryBytes ?? 0,
      resultBytes: bytes(sizes),
      resultBytesWithoutOverlay: bytes(sizes.filter(({ name }) => name !== "overlay.mp4")),
      resultFiles: sizes.length,
    };
  }
  throw new Error("the video of one minute failed");
}
