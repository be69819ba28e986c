/** Where an archive stands: counts, workers, what runs, and how long it will take. */
import type { Archive, ArchiveJob, VideoProgress } from "./archive.js";
import { type FailedVideo, failedVideos } from "./failures.js";
import { type Beat, livingWorkers } from "./heart.js";

/** A video that runs. */
export interface RunningVideo {
  readonly video: string;
  /** The worker that has it; `null` until it has reported. */
  readonly worker: string | null;
  /** Seconds of video, and of time. */
  readonly done: number;
  readonly total: number | null;
  readonly seconds: number;
}

/** The state of an archive. */
export interface ArchiveStatus {
  readonly queue: string;
  readonly server: string;
  /** Finished since the archive began. */
  readonly finished: number;
  readonly waiting: number;
  readonly running: number;
  /** Wait to be tried again. */
  readonly retrying: number;
  readonly failed: number;
  readonly workers: readonly Beat[];
  /** Videos per second over all workers; 0 while it is not known. */
  readonly videosPerSecond: number;
  /** Until no video waits or runs; `null` while it is not known. */
  readonly secondsLeft: number | null;
  readonly videos: readonly RunningVideo[];
  readonly failures: readonly FailedVideo[];
}

/** Running and failed videos that are listed. */
const listed = { running: 100, failures: 20 };

/** Reads the state of an archive from its server. */
export async function readStatus(archive: Archive, maxFailures = listed.failures): Promise<ArchiveStatus> {
  const { queue } = archive;
  const [counts, metrics, workers, active, failures] = await Promise.all([
    queue.getJobCounts("waiting", "active", "delayed", "failed"),
    queue.getMetrics("completed", 0, 0),
    livingWorkers(archive),
    queue.getActive(0, listed.running - 1),
    maxFailures > 0 ? failedVideos(archive, { count: maxFailures }) : [],
  ]);
  const { waiting = 0, active: running = 0, delayed: retrying = 0, failed = 0 } = counts;
  const videosPerSecond = workers.reduce((sum, beat) => sum + beat.videosPerSecond, 0);
  const left = waiting + running + retrying;
  return {
    queue: archive.name,
    server: archive.server,
    finished: Number(metrics.meta.count),
    waiting,
    running,
    retrying,
    failed,
    workers,
    videosPerSecond,
    secondsLeft: left === 0 ? 0 : videosPerSecond > 0 ? left / videosPerSecond : null,
    // A job may have ended since its number was read.
    videos: active.filter((job) => job !== undefined).map(runningVideo),
    failures,
  };
}

function runningVideo(job: ArchiveJob): RunningVideo {
  const { done, total, worker } = progressOf(job);
  const seconds = Math.max(0, Date.now() - (job.processedOn ?? Date.now())) / 1000;
  return { video: job.data.video, worker, done, total, seconds };
}

function progressOf({ progress }: ArchiveJob): Omit<VideoProgress, "worker"> & { worker: string | null } {
  const known = typeof progress === "object" && progress !== null ? progress : {};
  const { done, total, worker }: Partial<Record<keyof VideoProgress, unknown>> = { ...known };
  return {
    done: typeof done === "number" ? done : 0,
    total: typeof total === "number" ? total : null,
    worker: typeof worker === "string" ? worker : null,
  };
}
