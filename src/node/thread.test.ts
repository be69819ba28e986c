import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";

const start = `
  const { nodeRuntime } = await import(new URL("../runtime/node/node-runtime.js", ${JSON.stringify(import.meta.url)}));
  const { setTimeout: sleep } = await import("node:timers/promises");`;

function runs(script: string): void {
  const args = ["--input-type=module", "--eval", start + script];
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(status, 0, `ended by ${signal ?? `code ${status}`}: ${stderr}`);
}

test("a thread can be ended while native code is being loaded in it", () => {
  runs(`
    for (let delay = 0; delay < 100; delay += 4) {
      const runtime = nodeRuntime({ threads: 1 });
      await sleep(delay);
      await runtime.close();
    }`);
});

test("a process can end with a thread that was just started and forgotten", () => {
  for (let i = 0; i < 3; i++) runs("nodeRuntime({ threads: 1 });");
});
