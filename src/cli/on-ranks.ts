/** Commands that mpirun or srun may start several times: the first rank prints, and a failure of any rank ends all. */
import { setTimeout } from "node:timers/promises";
import type { OpenedRanks } from "../distributed/mpi.js";
import { openRanks } from "../distributed/open-ranks.js";
import { describeFailure, interrupt, writeError } from "./run.js";

/** How long other ranks leave it to the first one to report a failure that all have in common. */
const reportDelayMs = 2000;

/**
 * Runs a command on this rank. On several ranks nothing is thrown: the first one prints a failure that all have in common,
 * else the one that failed, and all end.
 */
export async function onRanks(run: (ranks: OpenedRanks) => Promise<void>): Promise<void> {
  const ranks = await openRanks(process.env);
  if (ranks.size === 1) return run(ranks);
  try {
    await run(ranks);
  } catch (error) {
    const interrupted = error instanceof DOMException && error.name === "AbortError";
    if (interrupted) interrupt();
    else if (ranks.rank > 0) await setTimeout(reportDelayMs);
    const { text, exitCode } = describeFailure(error, process.argv.includes("--verbose"));
    if (!interrupted || ranks.rank === 0) writeError(text);
    process.exitCode = exitCode;
    // Interrupted ranks stop together, the first one after saving; otherwise others are waiting for this one.
    if (!interrupted) ranks.abort(exitCode);
  }
  ranks.close();
}
