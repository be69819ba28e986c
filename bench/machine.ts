/** The machine of a measurement, as every result names it. */
import { readFileSync } from "node:fs";
import os from "node:os";

/** What a result says about its machine. */
export interface Machine {
  readonly processor: string;
  /** E.g. `AVX2, no VNNI`; see `instructionSetOf`. */
  readonly instructionSet: string;
  readonly threads: number;
  readonly memoryBytes: number;
  readonly node: string;
}

/** This machine. */
export function machine(): Machine {
  return {
    processor: os.cpus()[0]?.model.trim() ?? "unknown",
    instructionSet: instructionSetOf(cpuInfo(), process.arch),
    threads: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    node: process.versions.node,
  };
}

/** Linux's description of the processors; empty elsewhere. */
function cpuInfo(): string {
  try {
    return readFileSync("/proc/cpuinfo", "utf8");
  } catch {
    return "";
  }
}

/**
 * The vector instructions that decide how fast matrix products are, and how those of bytes are summed: in 32 bits with
 * VNNI or AMX on x86, and with any ARM instruction; in pairs of 16 bits without. From the text of `/proc/cpuinfo`; on
 * systems without one the architecture alone is known.
 */
export function instructionSetOf(cpuInfo: string, arch: string): string {
  const [, listed] = /^(?:flags|Features)\s*:(.*)$/m.exec(cpuInfo) ?? [];
  if (listed === undefined) return `${arch}, instructions unknown`;
  const flags = new Set(listed.trim().split(/\s+/));
  const first = (names: Readonly<Record<string, string>>, otherwise: string): string =>
    Object.entries(names).find(([flag]) => flags.has(flag))?.[1] ?? otherwise;
  if (arch === "arm64") {
    return `NEON, ${first({ i8mm: "integer matrix products", asimddp: "dot product" }, "no dot product")}`;
  }
  const vectors = first({ avx512bw: "AVX-512", avx2: "AVX2", avx: "AVX", sse4_2: "SSE4.2" }, "SSE2");
  const sums = first({ avx512_vnni: "VNNI", avx_vnni: "VNNI" }, "no VNNI");
  return [vectors, sums, ...(flags.has("amx_int8") ? ["AMX"] : [])].join(", ");
}
