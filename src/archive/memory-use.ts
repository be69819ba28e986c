/** The memory of a process with its children, as the system counts it: what ONNX Runtime and decoders take included. */
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";

/**
 * Resident bytes of a process and all of its descendants; 0 when it has ended. Pages that several of them map are
 * counted once for each.
 */
export async function residentBytes(pid: number): Promise<number> {
  return process.platform === "linux" ? residentOnLinux(pid) : residentByPs(pid);
}

async function residentOnLinux(pid: number): Promise<number> {
  const [status, children] = await Promise.all([
    readFile(`/proc/${pid}/status`, "latin1").catch(() => ""),
    readFile(`/proc/${pid}/task/${pid}/children`, "latin1").catch(() => ""),
  ]);
  const own = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? "0") * 1024;
  const pids = children.split(" ").filter(Boolean).map(Number);
  const below = await Promise.all(pids.map(residentOnLinux));
  return below.reduce((sum, bytes) => sum + bytes, own);
}

async function residentByPs(pid: number): Promise<number> {
  const { stdout } = await promisify(execFile)("ps", ["-axo", "pid=,ppid=,rss="]).catch(() => ({
    stdout: "",
  }));
  const rows = stdout.split("\n").map((line) => line.trim().split(/\s+/).map(Number));
  const sumOf = (root: number): number =>
    rows.reduce((sum, [own, parent, kilobytes = 0]) => {
      if (own === root) return sum + kilobytes * 1024;
      return parent === root && own !== undefined ? sum + sumOf(own) : sum;
    }, 0);
  return sumOf(pid);
}
