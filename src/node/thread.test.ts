import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import test from "node:test";

const runtimeModule = JSON.stringify(new URL("../runtime/node/node-runtime.js", import.meta.url));

const start = `
  const { nodeRuntime } = await import(${runtimeModule});
  const { setTimeout: sleep } = await import("node:timers/promises");`;

function runs(script: string, options: readonly string[] = ["--input-type=module"]): void {
  const args = [...options, "--eval", script];
  const { status, signal, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });
  assert.equal(status, 0, `ended by ${signal ?? `code ${status}`}: ${stderr}`);
}

test("a thread can be ended while native code is being loaded in it", () => {
  runs(`${start}
    for (let delay = 0; delay < 100; delay += 4) {
      const runtime = nodeRuntime({ threads: 1 });
      await sleep(delay);
      await runtime.close();
    }`);
});

test("a process can end with a thread that was just started and forgotten", () => {
  for (let i = 0; i < 3; i++) runs(`${start} nodeRuntime({ threads: 1 });`);
});

test("threads start where Node was given options of V8", () => {
  const script = `import(${runtimeModule}).then(({ nodeRuntime }) => nodeRuntime({ threads: 1 }).close());`;
  runs(script, ["--max-old-space-size=1000"]);
});
