/** Failed videos again. */
import type { Archive } from "./archive.js";

const pageSize = 100;

/**
 * Puts failed videos back into the queue, with all of their attempts: those whose path or key is named, or all. Returns
 * how many, and which of the names are not of failed videos.
 */
export async function retryFailed(
  { queue }: Archive,
  names: readonly string[] = [],
): Promise<{ readonly retried: number; readonly unknown: readonly string[] }> {
  const wanted = new Set(names);
  const found = new Set<string>();
  let retried = 0;
  // Videos that stay failed are passed over; those that are retried leave the list.
  for (let start = 0; ; ) {
    const jobs = await queue.getFailed(start, start + pageSize - 1);
    if (jobs.length === 0) break;
    for (const job of jobs) {
      const name = [job.data.video, job.id ?? ""].find((own) => wanted.has(own));
      if (names.length > 0 && name === undefined) {
        start++;
        continue;
      }
      if (name !== undefined) found.add(name);
      await job.retry("failed", { resetAttemptsMade: true, resetAttemptsStarted: true });
      retried++;
    }
  }
  return { retried, unknown: names.filter((name) => !found.has(name)) };
}
