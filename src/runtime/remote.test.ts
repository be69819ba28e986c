import assert from "node:assert/strict";
import test from "node:test";
import { AvsegError, OutOfMemoryError } from "../errors.js";
import { serializeError } from "../serialize-error.js";
import type { Provider } from "./providers.js";
import { remoteRuntime } from "./remote.js";

const onnx = { bytes: new Uint8Array(0), inputs: [], outputs: [], metadata: {}, weightFiles: [] };

/** A runtime whose worker fails every request with `reason`. */
function failing(provider: Provider, reason: string) {
  return remoteRuntime(provider, ({ reply }) => ({
    post: ({ call }) => reply({ call, error: serializeError(new Error(reason)) }),
    end() {},
  }));
}

test("an error of WebGPU names another provider", async () => {
  const expected = (message: string) => (error: unknown) => {
    assert.ok(error instanceof AvsegError);
    assert.equal(error.message, message);
    assert.match(error.hint ?? "", /--provider cpu/);
    return true;
  };
  const absent =
    "/onnxruntime_src/webgpu_context.cc:136 was false. Failed to get a WebGPU adapter: No supported adapters";
  await assert.rejects(
    failing("webgpu", absent).createSession({ onnx, name: "model" }),
    expected("WebGPU: no usable graphics adapter"),
  );
  await assert.rejects(
    failing("webgpu", "out of memory").createSession({ onnx, name: "model" }),
    expected("WebGPU: cannot open the model: out of memory"),
  );
});

test("an error of a graphics provider says what it needs", async () => {
  for (const [provider, reason, message, needs] of [
    [
      "cuda",
      "OrtSession: Failed to load shared library",
      "CUDA: its library is missing or cannot be loaded",
      /cuda12/,
    ],
    [
      "dml",
      "it is not part of ONNX Runtime for x",
      "DirectML: it is not part of ONNX Runtime for x",
      /Windows/,
    ],
    ["coreml", "bad node", "Core ML: cannot open the model: bad node", /macOS.*--provider cpu/],
  ] as const) {
    await assert.rejects(
      failing(provider, reason).createSession({ onnx, name: "model" }),
      (error: unknown) => {
        assert.ok(error instanceof AvsegError);
        assert.equal(error.message, message);
        assert.match(error.hint ?? "", needs);
        return true;
      },
    );
  }
});

test("errors of other providers and of a closed runtime are plain errors", async () => {
  await assert.rejects(failing("cpu", "bad model").createSession({ onnx }), new Error("bad model"));
  const runtime = failing("webgpu", "");
  await runtime.close();
  await assert.rejects(runtime.createSession({ onnx }), new Error("runtime: the runtime is closed"));
});

test("a failed allocation in ONNX Runtime is reported as out of memory", async () => {
  for (const reason of ["std::bad_alloc", "Failed to allocate memory for requested buffer of size 9"]) {
    await assert.rejects(failing("cpu", reason).createSession({ onnx }), (error: unknown) => {
      assert.ok(error instanceof OutOfMemoryError);
      assert.equal(error.message, `ONNX Runtime ran out of memory: ${reason}`);
      assert.equal(error.hint, "Process fewer clips at a time, or free memory.");
      return true;
    });
  }
});
