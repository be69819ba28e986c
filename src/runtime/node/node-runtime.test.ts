import assert from "node:assert/strict";
import test from "node:test";
import { OutOfMemoryError } from "../../errors.js";
import { emitOnnx, expand, input, mean } from "../../graph/index.js";
import { f32 } from "../../tensor.js";
import { nodeRuntime } from "./node-runtime.js";

test("an allocation that fails inside ONNX Runtime is an OutOfMemoryError with a hint", async (t) => {
  const runtime = nodeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const huge = expand(input("x", [1, 1]), [2 ** 22, 2 ** 25]); // 2^49 bytes: more than a process can address
  const session = await runtime.createSession({ graph: emitOnnx({ y: mean(huge) }), weights: new Map() });
  await assert.rejects(session.run({ x: f32([1], [1, 1]) }), (error: unknown) => {
    assert.ok(error instanceof OutOfMemoryError, String(error));
    assert.equal(error.hint, "Process fewer clips at a time, or free memory.");
    return true;
  });
});
