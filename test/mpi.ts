/** MPI installations of this machine, for tests that start several processes. */
import { spawnSync } from "node:child_process";
import type { MpiFamily } from "../src/distributed/mpi-abi.js";

/** A launcher of one MPI library. */
export interface MpiLauncher {
  readonly family: MpiFamily;
  readonly command: string;
  /** Arguments before `-n`. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

const candidates: readonly MpiLauncher[] = [
  ...["mpirun.openmpi", "mpirun"].map(
    (command): MpiLauncher => ({
      family: "Open MPI",
      command,
      args: ["--oversubscribe", "--bind-to", "none"],
      // Containers run tests as root, and have no ssh.
      env: {
        OMPI_ALLOW_RUN_AS_ROOT: "1",
        OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1",
        OMPI_MCA_plm_rsh_agent: "",
        OMPI_MCA_btl_vader_single_copy_mechanism: "none",
      },
    }),
  ),
  ...["mpirun.mpich", "mpiexec.hydra", "mpirun"].map(
    (command): MpiLauncher => ({ family: "MPICH", command, args: [], env: {} }),
  ),
];

/** The launchers of the libraries that are installed, one of each. */
export function mpiLaunchers(): MpiLauncher[] {
  const found = new Map<MpiFamily, MpiLauncher>();
  for (const launcher of candidates) {
    const { stdout } = spawnSync(launcher.command, ["--version"], { encoding: "utf8" });
    const family = /Open MPI|OpenRTE/.test(stdout ?? "")
      ? "Open MPI"
      : /HYDRA|MPICH/.test(stdout ?? "") && "MPICH";
    if (family === launcher.family && !found.has(family)) found.set(family, launcher);
  }
  return [...found.values()];
}
