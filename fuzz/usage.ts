/** Time and memory that this process and those that it starts take. Only on Linux is memory measured. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";

const megabyte = 1 << 20;
const isLinux = process.platform === "linux";

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

/** Milliseconds on processors, of this process and of children that have ended. */
function processorMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  if (!isLinux) return (user + system) / 1000;
  // After the name in brackets: state, parent, ..., the user and system time of children in hundredths of a second.
  const fields = readFileSync("/proc/self/stat", "utf8").split(") ").at(-1)?.split(" ") ?? [];
  return (user + system) / 1000 + 10 * (Number(fields[13]) + Number(fields[14]));
}

/** Milliseconds during which any process of the machine waited for a processor. */
function crowdedMilliseconds(): number {
  try {
    return Number(/^some .*total=(\d+)/m.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1] ?? 0) / 1000;
  } catch {
    return 0; // not on this system
  }
}

/** What reading an input took. */
export interface Usage {
  /**
   * Time. While other processes keep the machine busy, only what was spent on processors counts: otherwise a busy
   * machine would make every input slow.
   */
  readonly milliseconds: number;
  /** Growth of resident memory to its peak. */
  readonly megabytes: number;
}

/** Measures from its start on. */
export class UsageMeter {
  readonly #start = performance.now();
  readonly #processor = processorMilliseconds();
  readonly #crowded = crowdedMilliseconds();
  readonly #before: number;
  readonly #timer: NodeJS.Timeout | undefined;
  #inChildren = 0;

  /** `external`: the peaks of child processes count, too, each of them. */
  constructor({ external }: { readonly external: boolean }) {
    if (isLinux) writeFileSync("/proc/self/clear_refs", "5"); // sets the peak to the current size
    this.#before = isLinux ? statusOf("self").current : 0;
    if (isLinux && external) this.#timer = setInterval(() => this.#look(), 10);
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

  /** Ends the measurement. */
  stop(): Usage {
    clearInterval(this.#timer);
    const elapsed = performance.now() - this.#start;
    const alone = elapsed - (crowdedMilliseconds() - this.#crowded);
    const milliseconds = Math.min(elapsed, Math.max(alone, processorMilliseconds() - this.#processor));
    const peak = isLinux ? statusOf("self").peak : 0;
    return { milliseconds, megabytes: (peak - this.#before + this.#inChildren) / megabyte };
  }
}
