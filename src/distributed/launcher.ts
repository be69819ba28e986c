/** Whether this process was started as one of several, and by what, from the variables that launchers set. */
import { availableParallelism, cpus } from "node:os";
import type { MpiFamily } from "./mpi-abi.js";

/** A launcher of several processes. */
export interface Launch {
  readonly command: string;
  /** Number of processes. */
  readonly size: number;
  /** Processes on this host. */
  readonly localSize: number;
  /** The library that the processes must use; `undefined` where they were started without MPI. */
  readonly family: MpiFamily | undefined;
}

/** The launcher of this process; `undefined` for a process on its own. */
export function launchOf(env: Readonly<Record<string, string | undefined>>): Launch | undefined {
  const number = (...names: readonly string[]): number | undefined => {
    const text = names.map((name) => env[name]).find((found) => found !== undefined && found !== "");
    const value = Number(/^\d+/.exec(text ?? "")?.[0]); // Slurm writes 4(x2) for four on each of two nodes
    return Number.isInteger(value) && value > 0 ? value : undefined;
  };
  const launch = (command: string, size: number | undefined, family: MpiFamily | undefined) => {
    const localSize =
      number("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_STEP_TASKS_PER_NODE") ?? 1;
    return size === undefined || size < 2 ? undefined : { command, size, localSize, family };
  };
  const tasks = number("SLURM_STEP_NUM_TASKS");
  if (env.OMPI_COMM_WORLD_SIZE !== undefined) {
    return launch("mpirun", number("OMPI_COMM_WORLD_SIZE"), "Open MPI");
  }
  if (env.PMIX_RANK !== undefined) return launch("srun", tasks, "Open MPI");
  if (env.PMI_SIZE !== undefined) return launch(tasks ? "srun" : "mpirun", number("PMI_SIZE"), "MPICH");
  return launch("srun", tasks, undefined);
}

/** Threads for each process of a launch: an equal part of the cores, or those that the launcher bound it to. */
export function threadsPerProcess({ localSize }: Pick<Launch, "localSize">): number {
  const available = availableParallelism();
  return available < cpus().length ? available : Math.max(1, Math.floor(available / localSize));
}
