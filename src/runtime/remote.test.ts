import assert from "node:assert/strict";
import test from "node:test";
import { AvsegError } from "../errors.js";
import { remoteRuntime } from "./remote.js";

const onnx = { bytes: new Uint8Array(0), inputs: [], outputs: [], metadata: {}, weightFiles: [] };

/** A runtime whose worker refuses everything for `reason`. */
function refusing(provider: string, reason: string) {
  return remoteRuntime(provider, ({ reply }) => ({
    post: ({ call }) => reply({ call, error: reason }),
    end() {},
  }));
}

test("a session that WebGPU cannot open says so, and what to use instead", async () => {
  const expected = (message: string) => (error: unknown) => {
    assert.ok(error instanceof AvsegError);
    assert.equal(error.message, message);
    assert.match(error.hint ?? "", /--provider cpu/);
    return true;
  };
  const absent =
    "/onnxruntime_src/webgpu_context.cc:136 was false. Failed to get a WebGPU adapter: No supported adapters";
  await assert.rejects(
    refusing("webgpu", absent).createSession({ onnx, name: "model" }),
    expected("WebGPU: expected a graphics adapter, found none that it can use"),
  );
  await assert.rejects(
    refusing("webgpu", "out of memory").createSession({ onnx, name: "model" }),
    expected("WebGPU: it cannot open the model: out of memory"),
  );
});

test("what other providers refuse, and a runtime that is closed, stay plain errors", async () => {
  await assert.rejects(refusing("cpu", "out of memory").createSession({ onnx }), new Error("out of memory"));
  const runtime = refusing("webgpu", "");
  await runtime.close();
  await assert.rejects(runtime.createSession({ onnx }), new Error("runtime: it is closed"));
});
