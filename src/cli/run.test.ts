import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import test from "node:test";
import { CheckpointError } from "../errors.js";
import { commandLine, describeFailure, UsageError } from "./run.js";

const avseg = path.join(import.meta.dirname, "main.js");
const run = (...args: string[]) => spawnSync(process.execPath, [avseg, ...args], { encoding: "utf8" });

test("a user's failure is one line and a hint", () => {
  const error = new CheckpointError("a.pth: truncated\n at byte 7", { hint: "Download it again." });
  assert.deepEqual(describeFailure(error, false), {
    text: "avseg: a.pth: truncated at byte 7\nhint: Download it again.\n",
    exitCode: 1,
  });
  // Names from untrusted input must not control the terminal.
  const name = new CheckpointError("\x1b[31ma\r.pth: truncated");
  assert.equal(describeFailure(name, false).text, "avseg: \\x1b[31ma\\x0d.pth: truncated\n");
  assert.equal(describeFailure(new UsageError("--a excludes --b"), false).exitCode, 2);
});

test("a failed allocation anywhere is one line and a hint", () => {
  assert.deepEqual(describeFailure(new RangeError("Array buffer allocation failed"), false), {
    text:
      "avseg: out of memory (Array buffer allocation failed)\n" +
      "hint: Process less at a time, e.g. with a smaller batch size, or free memory.\n",
    exitCode: 1,
  });
});

test("the stack shows with --verbose only", () => {
  const error = new TypeError("x is not a function", { cause: new Error("deeper") });
  assert.doesNotMatch(describeFailure(error, false).text, /\n\s+at /);
  assert.match(describeFailure(error, true).text, /\n\s+at .*caused by: Error: deeper/s);
});

test("wrong usage exits with 2 and suggests the nearest name", () => {
  for (const [args, message] of [
    [["--versio"], "avseg: unknown option '--versio'\nhint: Did you mean --version?\n"],
    [["trian", "s4"], "avseg: unknown command 'trian'\nhint: Did you mean train?\n"],
    [["segment"], "avseg: missing required argument 'video'\nhint: add --help for usage and an example\n"],
  ] as const) {
    const result = run(...args);
    assert.equal(result.status, 2);
    assert.equal(result.stderr, message);
  }
});

test("suggested commands can be pasted into a shell", {
  skip: process.platform === "win32" && "POSIX only",
}, () => {
  assert.equal(
    commandLine("train", "s4", "my.yaml", "--set", "data.size=2"),
    "avseg train s4 my.yaml --set data.size=2",
  );
  const args = ["data.root=my data é", "it's", "$HOME", "a=[1, 2]", "~", ""];
  const script = `avseg() { printf '%s\\n' "$@"; }\n${commandLine(...args)}`;
  const { stdout } = spawnSync("sh", ["-c", script], { encoding: "utf8" });
  assert.deepEqual(stdout.split("\n").slice(0, -1), args);
});

test("help and version succeed", () => {
  assert.equal(run("--help").status, 0);
  assert.match(run("--version").stdout, /^\d+\.\d+\.\d+\n$/);
});
