/** Ranks over Open MPI or MPICH, through their C interface. */
import { setImmediate, setTimeout } from "node:timers/promises";
import type { LibraryHandle } from "koffi";
import { DistributedError } from "../errors.js";
import type { Launch } from "./launcher.js";
import { abiOf, type Handle, type MpiAbi, type MpiFamily } from "./mpi-abi.js";
import type { Ranks } from "./ranks.js";

/** Ranks that were opened. */
export interface OpenedRanks extends Ranks {
  /** Threads that each process should use. */
  readonly threads: number | undefined;
  /** Leaves the others; all ranks must call it. */
  close(): void;
  /** Ends all ranks at once, this one included, with an exit code. */
  abort(exitCode: number): void;
}

/** Names of the library, in the order in which they are tried. */
const libraries: Readonly<Record<MpiFamily, readonly string[]>> = {
  "Open MPI": ["libmpi.so.40", "libmpi.so", "libmpi.40.dylib", "libmpi.dylib"],
  MPICH: ["libmpich.so.12", "libmpi.so.12", "libmpich.so", "libmpi.so", "libmpi.12.dylib", "libmpi.dylib"],
};

const installHint =
  "Install it, e.g. with apt-get install openmpi-bin, or set AVSEG_MPI_LIBRARY to the path of its library (libmpi.so).";

const funneled = 1; // MPI_THREAD_FUNNELED: only this thread calls the library

/**
 * Parameters of Open MPI, as variables that it reads when it starts; values of the launcher (`--mca NAME VALUE`) are kept.
 *
 * Sums that do not block (since 4.1): by itself it sends all bytes up a tree of ranks and then down again when the sum is
 * in place; around a ring (1) both directions of a link are busy, which takes half as long on two hosts and a smaller part
 * of it on more. Waiting: it yields the processor to processes that compute, else two ranks on a busy machine wait a
 * time slice for each other at every fragment of a sum.
 */
const openMpiSettings = {
  OMPI_MCA_coll_libnbc_iallreduce_algorithm: "1",
  OMPI_MCA_mpi_yield_when_idle: "1",
};

type Call = (...args: readonly (Handle | ArrayBufferView)[]) => number;

/**
 * Joins the other processes of a launch. Throws `DistributedError` when there is no MPI library, or one of another family
 * than that of the launcher.
 */
export async function openMpi(
  launch: Launch,
  { library, threads }: { readonly library?: string | undefined; readonly threads?: number | undefined } = {},
): Promise<OpenedRanks> {
  const { lib, abi } = await load(launch, library);
  if (abi.family === "Open MPI") {
    for (const [name, value] of Object.entries(openMpiSettings)) process.env[name] ??= value;
  }
  const h = abi.handle;
  const declare = (name: string, ...types: readonly string[]): Call => lib.func(name, "int", [...types]);
  const check = (name: string, code: number): void => {
    if (code !== 0) throw new DistributedError(`MPI: ${name} failed with code ${code}`);
  };
  const out = new Int32Array(1);
  const asked = (call: Call): number => {
    check("a query", call(abi.world, out));
    return out[0] ?? 0;
  };
  check(
    "MPI_Init_thread",
    declare("MPI_Init_thread", "void *", "void *", "int", "void *")(null, null, funneled, out),
  );
  const rank = asked(declare("MPI_Comm_rank", h, "void *"));
  const size = asked(declare("MPI_Comm_size", h, "void *"));
  if (size !== launch.size) {
    throw new DistributedError(
      `MPI: ${launch.command} started ${launch.size} processes, the library finds ${size}`,
      {
        hint: "Start them with the mpirun of the same installation, or set AVSEG_MPI_LIBRARY to its library.",
      },
    );
  }
  const allReduce = declare("MPI_Iallreduce", "void *", "void *", "int", h, h, h, "void *");
  const allGather = declare("MPI_Iallgather", "void *", "int", h, "void *", "int", h, h, "void *");
  const allGatherV = declare(
    "MPI_Iallgatherv",
    "void *",
    "int",
    h,
    "void *",
    "void *",
    "void *",
    h,
    h,
    "void *",
  );
  const testRequest = declare("MPI_Test", "void *", "void *", "void *");
  const finalize = declare("MPI_Finalize");
  const abortAll = declare("MPI_Abort", h, "int");

  /** Starts an operation and waits for it, while this thread answers events. `start` must keep its buffers alive. */
  const complete = async (name: string, patient: boolean, start: (request: BigUint64Array) => number) => {
    const request = new BigUint64Array(1); // room for a pointer or an int
    const done = new Int32Array(1);
    check(name, start(request));
    for (;;) {
      check(name, testRequest(request, done, abi.ignoreStatus));
      if (done[0] !== 0) return;
      await (patient ? setTimeout(1) : setImmediate());
    }
  };

  return {
    rank,
    size,
    threads,
    // The library moves data only while it is called, so a large sum is asked for without pause.
    sum: (values) =>
      complete("MPI_Iallreduce", false, (request) =>
        allReduce(abi.inPlace, values, values.length, abi.double, abi.sum, abi.world, request),
      ),
    async gather(value) {
      const own = Buffer.from(JSON.stringify(value));
      const counts = new Int32Array(size);
      const ownCount = Int32Array.of(own.length);
      // Others may take long to come here: the processor is left to them.
      await complete("MPI_Iallgather", true, (request) =>
        allGather(ownCount, 1, abi.int, counts, 1, abi.int, abi.world, request),
      );
      const starts = new Int32Array(size);
      for (let i = 1; i < size; i++) starts[i] = (starts[i - 1] ?? 0) + (counts[i - 1] ?? 0);
      const all = Buffer.alloc((starts[size - 1] ?? 0) + (counts[size - 1] ?? 0));
      await complete("MPI_Iallgatherv", false, (request) =>
        allGatherV(own, own.length, abi.byte, all, counts, starts, abi.byte, abi.world, request),
      );
      return [...starts].map((start, i): unknown =>
        JSON.parse(all.subarray(start, start + (counts[i] ?? 0)).toString()),
      );
    },
    close: () => check("MPI_Finalize", finalize()),
    abort: (exitCode) => {
      abortAll(abi.world, exitCode);
    },
  };
}

/** Loads the library of the launcher's family. */
async function load(
  launch: Launch,
  library: string | undefined,
): Promise<{ lib: LibraryHandle; abi: MpiAbi }> {
  const { family, command, size } = launch;
  const what = `${command} started ${size} processes`;
  if (family === undefined) {
    throw new DistributedError(`${what}, but without MPI, so that they cannot find each other`, {
      hint: "Start them with srun --mpi=pmix (Open MPI) or srun --mpi=pmi2 (MPICH).",
    });
  }
  const { default: koffi } = await import("koffi").catch((cause: unknown) => {
    throw new DistributedError(`${what}, which need the package koffi, and it is not installed`, {
      cause,
      hint: "Install it with npm install koffi.",
    });
  });
  const tried: string[] = [];
  for (const name of library === undefined ? libraries[family] : [library]) {
    let lib: LibraryHandle;
    try {
      lib = koffi.load(name, { global: true }); // Open MPI's plugins look for its symbols among the global ones
    } catch {
      tried.push(name);
      continue;
    }
    const abi = abiOf((symbol) => {
      try {
        return lib.symbol(symbol);
      } catch {
        return undefined;
      }
    });
    if (abi.family === family) return { lib, abi };
    tried.push(`${name} (${abi.family})`);
  }
  throw new DistributedError(`${what}, but no library of ${family} was found; tried ${tried.join(", ")}`, {
    hint: installHint,
  });
}
