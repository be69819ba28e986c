import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../../errors.js";
import { emitOnnx, input, mul, parameter, serializeOnnx } from "../index.js";
import { readOnnx } from "./read.js";

test("inputs, outputs and metadata are read back from a serialized model", () => {
  const graph = emitOnnx({ y: mul(input("x", [2, 300], "f32"), 2) });
  const bytes = serializeOnnx(graph, {
    metadata: { classes: "[]", "a key": "ü" },
    parameter: () => assert.fail("no parameters"),
  });
  const model = readOnnx(bytes, "double.onnx");
  assert.deepEqual(model.inputs, [{ name: "x", dtype: "f32", shape: [2, 300] }]);
  assert.deepEqual(model.outputs, [{ name: "y", dtype: "f32", shape: [2, 300] }]);
  assert.deepEqual({ ...model.metadata }, { classes: "[]", "a key": "ü" });
  assert.deepEqual(model.weightFiles, []);
});

test("files that hold the weights are named", () => {
  const sides = [parameter("a", [3]), parameter("b", [3])] as const;
  const graph = emitOnnx({ y: mul(mul(input("x", [3]), sides[0]), sides[1]) });
  const parameterData = (location: string) => ({ parameter: () => ({ location, offset: 0, length: 12 }) });
  const apart = serializeOnnx(graph, parameterData("model.onnx.data"));
  assert.deepEqual(readOnnx(apart, "model.onnx").weightFiles, ["model.onnx.data"]);
  const inside = serializeOnnx(graph, { parameter: () => ({ bytes: new Float32Array(3) }) });
  assert.deepEqual(readOnnx(inside, "model.onnx").weightFiles, []);
});

test("a file that is not an ONNX model is refused", () => {
  const text = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1");
  const random = Uint8Array.from({ length: 500 }, (_, i) => (i * 7919) % 251);
  for (const bytes of [new Uint8Array(0), text, random]) {
    assert.throws(() => readOnnx(bytes, "some.onnx"), CheckpointError);
  }
});
