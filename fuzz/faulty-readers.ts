/** Readers with planted faults, for the fuzzer's own test. Each has its fault from the third input on. */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { MediaError } from "../src/errors.js";
import type { Reader } from "./reader.js";

/** Inputs hold their number: the valid one holds 0, the first changed one 1, ... */
function planted(name: string, fault: (file: string) => void | Promise<void>, external = false): Reader {
  let count = 0;
  return {
    name,
    fileName: "input.bin",
    external,
    seeds: async () => [Uint8Array.of(0)],
    mutate: () => Uint8Array.of(++count),
    async read(file) {
      if ((readFileSync(file)[0] ?? 0) > 2) await fault(file);
    },
  };
}

function refuse(message: string): never {
  throw new MediaError(message);
}

/** The readers, by what is wrong with them. */
export const readers: readonly Reader[] = [
  planted("sound", () => refuse("not a valid file")),
  planted("exception", () => {
    throw new TypeError("undefined is not a function");
  }),
  planted("late", async () => {
    void sleep(1).then(() => {
      throw new TypeError("too late");
    });
    await sleep(50);
  }),
  planted("message", () => refuse("x".repeat(3000))),
  planted("time", () => {
    const start = process.cpuUsage();
    while (process.cpuUsage(start).user < 400_000);
  }),
  planted("memory", () => {
    new Uint8Array(150 << 20).fill(1); // pages count once they are written to
  }),
  planted("hang", () => {
    for (;;);
  }),
  planted("crash", () => void process.kill(process.pid, "SIGKILL")),
  planted("write", (file) => writeFileSync(`${file}/../../../outside`, "")),
  planted("write by another process", () => void execFileSync("touch", ["../outside"]), true),
];
