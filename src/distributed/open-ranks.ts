/** The ranks of this process, however it was started. */
import { launchOf, threadsPerProcess } from "./launcher.js";
import { type OpenedRanks, openMpi } from "./mpi.js";
import { singleRank } from "./ranks.js";

/**
 * Joins the processes that `mpirun` or `srun` started together with this one; a process on its own is one rank.
 * `AVSEG_MPI_LIBRARY` in `env` names the MPI library. Throws `DistributedError` without a library.
 */
export async function openRanks(env: Readonly<Record<string, string | undefined>>): Promise<OpenedRanks> {
  const launch = launchOf(env);
  if (launch === undefined) return { ...singleRank, threads: undefined, close: () => {}, abort: () => {} };
  return openMpi(launch, { library: env.AVSEG_MPI_LIBRARY, threads: threadsPerProcess(launch) });
}
