/** Runs graphs in tests: seeded weights, one runtime for the file. */
import { after } from "node:test";
import { emitOnnx, input, type Value } from "../src/graph/index.js";
import { nodeRuntime } from "../src/runtime/node/node-runtime.js";
import type { Runtime, Tensors } from "../src/runtime/runtime.js";
import type { StateDict, Tensor } from "../src/tensor.js";
import { seededParameter } from "./support.js";

let runtime: Runtime | undefined;
after(() => runtime?.close());

/** Values of `outputs` for `feeds`; parameters get the reference generator's values unless given. */
export async function evaluate(
  outputs: Readonly<Record<string, Value>>,
  feeds: Tensors,
  weights?: StateDict,
): Promise<Record<string, Tensor>> {
  runtime ??= nodeRuntime();
  const graph = emitOnnx(outputs, { target: runtime.supports });
  const seeded = new Map(graph.parameters.map((p) => [p.name, seededParameter(p.name, p.shape)]));
  const session = await runtime.createSession({ graph, weights: weights ?? seeded, name: "test" });
  const results = await session.run(feeds);
  await session.close();
  return results;
}

/** A graph input of a tensor's type. */
export function inputLike(name: string, t: Tensor): Value {
  return input(name, t.shape, t.dtype);
}
