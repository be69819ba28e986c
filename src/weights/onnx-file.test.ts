import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { tempDir } from "../../test/temp-dir.js";
import { CheckpointError } from "../errors.js";
import { add, emitOnnx, input, mul, parameter, serializeOnnx } from "../graph/index.js";
import { readOnnx } from "../graph/onnx/read.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { full } from "../tensor.js";
import { bytesSource } from "./byte-source.js";
import { withFileSource } from "./node/file-source.js";
import { readOnnxFile } from "./onnx-file.js";

const large = Float32Array.from({ length: 5000 }, (_, i) => i);
const small = Float32Array.of(1, 2, 3, 4, 5);

/** y = x * large + small, with many nodes in between: x `f32[1000,5]`. */
function modelBytes(): Uint8Array<ArrayBuffer> {
  let y = mul(input("x", [1000, 5]), parameter("large", [1000, 5]));
  for (let i = 0; i < 3000; i++) y = add(y, 0);
  const graph = emitOnnx({ y: add(y, parameter("small", [5])) });
  return serializeOnnx(graph, {
    metadata: { clips: "1" },
    parameter: ({ name }) => ({ bytes: name === "large" ? large : small }),
  });
}

test("large tensors stay in the file, from where a runtime takes them", async (t) => {
  const bytes = modelBytes();
  const folder = await tempDir(t);
  const file = path.join(folder, "model.onnx");
  await writeFile(file, bytes);
  const onnx = await withFileSource(file, (source) => readOnnxFile(source, "model.onnx"));
  const { inputs, outputs, metadata } = readOnnx(bytes, file);
  assert.deepEqual(
    { ...onnx, bytes: undefined },
    {
      ...{ inputs, outputs, metadata, weightFiles: ["model.onnx"] },
      bytes: undefined,
    },
  );
  assert.ok(onnx.bytes.length < bytes.length - large.byteLength + 200, `${onnx.bytes.length} bytes`);
  const runtime = nodeRuntime({ threads: 1 });
  t.after(() => runtime.close());
  const session = await runtime.createSession({ onnx, folder });
  const { y } = await session.run({ x: full([1000, 5], 2) });
  assert.deepEqual(
    Array.from(y?.data ?? [], Number),
    Array.from(large, (value, i) => 2 * value + small[i % 5]!),
  );
});

test("damaged files are refused", async () => {
  const bytes = modelBytes();
  const cut = [0, 1, 10, 100, bytes.length - 10].map((length) => bytes.subarray(0, length));
  const text = new TextEncoder().encode("version https://git-lfs.github.com/spec/v1");
  for (const damaged of [...cut, text, new Uint8Array(64).fill(0xff)]) {
    await assert.rejects(readOnnxFile(bytesSource("x.onnx", damaged), "x.onnx"), CheckpointError);
  }
});
