/** Failures as the queue keeps them: one text for people, with what to do on a line of its own. */
import type { Archive, ArchiveJob } from "./archive.js";

/** A video that failed for good. */
export interface FailedVideo {
  readonly key: string;
  readonly video: string;
  readonly error: string;
  /** What to do about it. */
  readonly hint: string;
  readonly attempts: number;
  /** ISO date. */
  readonly failedAt: string;
}

const separator = "\nhint: ";
const defaultHint = "Run `avseg archive retry`, or the video alone with `avseg segment`.";

/** The text of a failure. */
export function failureText({
  message,
  hint,
}: {
  readonly message: string;
  readonly hint?: string | undefined;
}): string {
  return `${message}${separator}${hint ?? defaultHint}`;
}

/** A failed video from its job. */
export function failedVideo(job: ArchiveJob): FailedVideo {
  const text = job.failedReason ?? "";
  const at = text.lastIndexOf(separator);
  const stalled = /stalled more than allowable limit/.test(text);
  return {
    key: job.id ?? "",
    video: job.data.video,
    error: stalled ? `${job.data.video}: all workers that had it died` : at < 0 ? text : text.slice(0, at),
    hint: at < 0 ? defaultHint : text.slice(at + separator.length),
    attempts: job.attemptsMade,
    failedAt: new Date(job.finishedOn ?? 0).toISOString(),
  };
}

/** Failed videos from the `start`th on, the latest first. */
export async function failedVideos(
  { queue }: Archive,
  { start = 0, count }: { readonly start?: number; readonly count: number },
): Promise<FailedVideo[]> {
  const jobs = await queue.getFailed(start, start + count - 1);
  return jobs.map(failedVideo);
}
