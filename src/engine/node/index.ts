/**
 * avseg/engine: static graphs of tensors in TypeScript, differentiated in reverse mode, emitted as ONNX and run by ONNX
 * Runtime. `ops` are the operations on values, `nn` the layers.
 *
 * ```ts
 * import { emitOnnx, f32, gradients, input, nodeRuntime, ops } from "avseg/engine";
 *
 * const x = input("x", [3]);
 * const y = ops.sum(ops.mul(x, ops.sigmoid(x)));
 * const [dx] = gradients([{ y }], [x]);
 * const runtime = nodeRuntime();
 * const session = await runtime.createSession({ graph: emitOnnx({ y, dx }), weights: new Map() });
 * console.log(await session.run({ x: f32([-1, 0, 1], [3]) }));
 * await runtime.close();
 * ```
 * @module avseg/engine
 */
export { nodeRuntime } from "../../runtime/node/node-runtime.js";
export * from "../index.js";
