/** Peak memory of this process and of those that it started. Linux only: elsewhere nothing is measured. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const megabyte = 1 << 20;

function statusOf(pid: number | "self"): { peak: number; current: number } {
  const text = readFileSync(`/proc/${pid}/status`, "utf8");
  const bytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0) * 1024;
  return { peak: bytes("VmHWM"), current: bytes("VmRSS") };
}

/** Processes that threads of this one started and that still run. */
function children(): number[] {
  const threads = readdirSync("/proc/self/task");
  return threads.flatMap((thread) => {
    const pids = readFileSync(`/proc/self/task/${thread}/children`, "utf8");
    return pids.split(" ").filter(Boolean).map(Number);
  });
}

/** Measures the peak of resident memory from its start on. */
export class PeakMemory {
  readonly #before: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #inChildren = 0;

  /** `external`: the peaks of child processes count, too, each of them. */
  constructor({ external }: { readonly external: boolean }) {
    if (process.platform !== "linux") {
      this.#before = 0;
      return;
    }
    writeFileSync("/proc/self/clear_refs", "5"); // sets the peak to the current size
    this.#before = statusOf("self").current;
    if (external) this.#timer = setInterval(() => this.#look(), 10);
  }

  #look(): void {
    let sum = 0;
    for (const pid of children()) {
      try {
        sum += statusOf(pid).peak;
      } catch {
        // It has just ended.
      }
    }
    this.#inChildren = Math.max(this.#inChildren, sum);
  }

  /** Ends the measurement: megabytes by which memory grew at most. */
  stop(): number {
    clearInterval(this.#timer);
    if (process.platform !== "linux") return 0;
    return (statusOf("self").peak - this.#before + this.#inChildren) / megabyte;
  }
}
