/** Adding videos to an archive. */
import { existsSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AvsegError } from "../errors.js";
import { inputSize, unreadable } from "../media/node/input-file.js";
import { hashFile } from "../weights/node/hash-file.js";
import type { Archive, VideoJob } from "./archive.js";
import type { Plan } from "./plan.js";
import { resultFolder, videoKey } from "./results.js";

/** What became of the videos of one `addVideos`. */
export interface AddCounts {
  /** Looked at, and those that now wait. */
  seen: number;
  added: number;
  /** Waiting or running from before, finished, or failed before. */
  queued: number;
  finished: number;
  failed: number;
  /** Files that could not be read. */
  unreadable: number;
}

/** Options of `addVideos`. */
export interface AddOptions {
  readonly plan: Plan;
  /** How often a video is tried, where a crash or a limit ended it. Default: 3. */
  readonly attempts?: number | undefined;
  /** Adding pauses while so many videos wait, which bounds the memory of the server. Default: 100,000. */
  readonly maxWaiting?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called after every video, and while adding pauses. */
  readonly onProgress?: ((counts: Readonly<AddCounts>, paused: boolean) => void) | undefined;
  /** Called for a file that cannot be read. */
  readonly onUnreadable?: ((error: AvsegError) => void) | undefined;
}

/** Videos that are stored in one round trip, and the time between two looks at a full queue. */
const batchSize = 50;
const pauseMs = 500;

interface Candidate {
  readonly name: "video";
  readonly data: VideoJob;
  readonly opts: { readonly jobId: string };
}

/**
 * Adds videos under a plan. What they contain decides: a video that waits, runs, has failed or is finished is not added
 * again, under whatever name. A failed one takes its new path, for `retryFailed`. Throws the signal's reason.
 */
export async function addVideos(
  archive: Archive,
  videos: AsyncIterable<string> | Iterable<string>,
  { plan, attempts = 3, maxWaiting = 100_000, signal, onProgress, onUnreadable }: AddOptions,
): Promise<AddCounts> {
  const counts: AddCounts = { seen: 0, added: 0, queued: 0, finished: 0, failed: 0, unreadable: 0 };
  const planId = await archive.addPlan(plan);
  const shared = {
    attempts,
    backoff: { type: "custom" },
    removeOnComplete: true,
    stackTraceLimit: 1,
  };
  const batch = new Map<string, Candidate>();
  const flush = async (): Promise<void> => {
    if (batch.size === 0) return;
    await waitForRoom();
    await archive.queue.addBulk(
      [...batch.values()].map(({ opts, ...job }) => ({ ...job, opts: { ...opts, ...shared } })),
    );
    counts.added += batch.size;
    batch.clear();
  };
  const waitForRoom = async (): Promise<void> => {
    while ((await archive.queue.getWaitingCount()) + batch.size > maxWaiting) {
      onProgress?.(counts, true);
      await sleep(pauseMs, undefined, { signal });
    }
  };
  for await (const video of videos) {
    signal?.throwIfAborted();
    counts.seen++;
    try {
      const data = await identify(video, planId, signal);
      const jobId = videoKey(data.sha256, planId);
      const state = batch.has(jobId) ? "queued" : await stateOf(archive, plan, { jobId, video });
      if (state === "new") batch.set(jobId, { name: "video", data, opts: { jobId } });
      else counts[state]++;
    } catch (error) {
      if (signal?.aborted || !(error instanceof AvsegError)) throw error;
      counts.unreadable++;
      onUnreadable?.(error);
    }
    if (batch.size >= Math.min(batchSize, maxWaiting)) await flush();
    onProgress?.(counts, false);
  }
  await flush();
  return counts;
}

async function identify(video: string, plan: string, signal: AbortSignal | undefined): Promise<VideoJob> {
  const bytes = await inputSize(video, "video");
  const sha256 = await hashFile(video, signal).catch((error: unknown) => {
    signal?.throwIfAborted();
    throw unreadable(error, video, "video");
  });
  return { video, sha256, bytes, plan };
}

async function stateOf(
  { queue }: Archive,
  { out }: Plan,
  { jobId, video }: { readonly jobId: string; readonly video: string },
): Promise<"new" | "queued" | "finished" | "failed"> {
  if (existsSync(resultFolder(out, jobId))) return "finished";
  const state = await queue.getJobState(jobId);
  if (state === "unknown" || state === "completed") return "new";
  if (state !== "failed") return "queued";
  const job = await queue.getJob(jobId);
  if (job && job.data.video !== video) await job.updateData({ ...job.data, video });
  return "failed";
}
