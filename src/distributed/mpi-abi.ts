/**
 * What the two families of MPI libraries pass through the same functions: in Open MPI a handle is the address of a global
 * of the library, in MPICH (and Intel MPI, MVAPICH, Cray MPI, which share its interface) an integer of `mpi.h`.
 */

/** A value that a C function takes as a handle or a pointer. */
export type Handle = number | bigint | null;

/** The families of MPI libraries. */
export type MpiFamily = "Open MPI" | "MPICH";

/** Constants of a library. */
export interface MpiAbi {
  readonly family: MpiFamily;
  /** C type of handles. */
  readonly handle: "void *" | "int";
  readonly world: Handle;
  readonly double: Handle;
  readonly int: Handle;
  readonly byte: Handle;
  readonly sum: Handle;
  readonly inPlace: bigint;
  readonly ignoreStatus: bigint | null;
}

/** The constants of a library whose globals `address` finds; `undefined` from it means that there is no such global. */
export function abiOf(address: (symbol: string) => bigint | undefined): MpiAbi {
  const world = address("ompi_mpi_comm_world");
  if (world === undefined) {
    return {
      family: "MPICH",
      handle: "int",
      world: 0x44000000,
      double: 0x4c00080b,
      int: 0x4c000405,
      byte: 0x4c00010d,
      sum: 0x58000003,
      inPlace: -1n,
      ignoreStatus: 1n,
    };
  }
  const required = (symbol: string): bigint => {
    const found = address(symbol);
    if (found === undefined) throw new Error(`MPI: the library has no ${symbol}`);
    return found;
  };
  return {
    family: "Open MPI",
    handle: "void *",
    world,
    double: required("ompi_mpi_double"),
    int: required("ompi_mpi_int"),
    byte: required("ompi_mpi_byte"),
    sum: required("ompi_mpi_op_sum"),
    inPlace: 1n,
    ignoreStatus: null,
  };
}
