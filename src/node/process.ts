/** Identifies processes, and checks whether one still runs. */
import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { sha256Of } from "./sha256.js";
import { errorCode } from "./system-error.js";

/** Identifies a process for other processes. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly host: string;
  /** Machine and container, in which process ids are unique. */
  readonly space: string;
  /** Start of the process, which distinguishes it from a later one with the same id. Linux only. */
  readonly birth?: string | undefined;
}

/** The identity of this process. */
export function ownIdentity(): ProcessIdentity {
  return { pid: process.pid, host: hostname(), space: processSpace(), birth: birthOf(process.pid) };
}

/** Whether a process is running; `undefined` for a process of another machine or container. */
export function isRunning({ pid, space, birth }: Omit<ProcessIdentity, "host">): boolean | undefined {
  if (space !== processSpace()) return undefined;
  try {
    process.kill(pid, 0); // signal 0 only asks
  } catch (error) {
    if (errorCode(error) === "ESRCH") return false; // EPERM: it belongs to another user
  }
  const current = statusOf(pid);
  if (current === undefined) return true;
  return current.state !== "Z" && current.state !== "X" && (birth === undefined || birth === current.birth);
}

/** Eight hexadecimal digits that differ between machines and containers. */
export function processSpace(): string {
  return sha256Of(`${hostname()} ${pidNamespace()}`).slice(0, 8);
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return ""; // only Linux has them
  }
}

function birthOf(pid: number): string | undefined {
  return statusOf(pid)?.birth;
}

/** State and start of a process from `/proc`: the start in clock ticks since boot, with the boot's id. */
function statusOf(pid: number): { readonly state: string; readonly birth: string } | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The second field is the program's name in parentheses, which may itself hold spaces and parentheses.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    const [state, ticks] = [fields[0], fields[19]];
    if (state === undefined || ticks === undefined) return undefined;
    return { state, birth: `${readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim()} ${ticks}` };
  } catch {
    return undefined;
  }
}
