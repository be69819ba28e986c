import assert from "node:assert/strict";
import test, { after } from "node:test";
import { assertClose } from "../../test/support.js";
import { input, matmul, mean, mul, parameter, sub } from "../graph/index.js";
import { createOptimizer } from "../optim/optimizers.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import { f32, type TensorOf } from "../tensor.js";
import { WeightStore } from "../weights/weight-store.js";
import { applyGradients } from "./batch-step.js";
import { compileStep } from "./step.js";

const runtime = nodeRuntime({ threads: 1 });
after(() => runtime.close());

test("a step trains what is trainable, keeps the rest, and renews statistics", async () => {
  const frozen = f32([1, 2, 3, 4], [2, 2]);
  const w = f32([0.5, -0.5], [2, 1]);
  const idle = f32([1], [1]);
  const average = f32([0], []);
  const weights = new Map<string, TensorOf<"f32">>([
    ["frozen", frozen],
    ["w", w],
    ["idle", idle],
    ["average", average],
  ]);
  const weight = parameter("w", [2, 1]);
  const y = matmul(matmul(input("x", [3, 2]), parameter("frozen", [2, 2])), weight);
  const error = sub(y, input("target", [3, 1]));
  const loss = mean(mul(error, error));
  const statistic = mul(parameter("average", []), 0.5);
  const step = await compileStep(runtime, WeightStore.of(weights), {
    loss,
    reports: new Map([["output", mean(y)]]),
    trainable: [weight, parameter("idle", [1])],
    updates: new Map([["average", sub(statistic, -1)]]),
  });
  const feeds = { x: f32([1, 0, 0, 1, 1, 1], [3, 2]), target: f32([0, 1, 2], [3, 1]) };
  const optimizer = createOptimizer({ kind: "sgd", weightDecay: 0.1 });
  const trained = ["w", "idle"];
  const result = await step.run(feeds);
  applyGradients({ weights, trained, gradients: result.gradients, optimizer, learningRate: 0.01 });
  // x F w = [-0.5, -0.5, -1]; error = [-0.5, -1.5, -3]; dw = 2/3 (x F)^T error
  assert.ok(Math.abs(result.loss - (0.25 + 2.25 + 9) / 3) < 1e-5);
  assert.ok(Math.abs((result.reports.output ?? 0) + 2 / 3) < 1e-6);
  const gradient = [(2 / 3) * (-0.5 * 1 - 1.5 * 3 - 3 * 4), (2 / 3) * (-0.5 * 2 - 1.5 * 4 - 3 * 6)];
  assertClose(
    w.data,
    [0.5 - 0.01 * (gradient[0] ?? 0) - 0.0005, -0.5 - 0.01 * (gradient[1] ?? 0) + 0.0005],
    1e-5,
    "w",
  );
  assertClose(idle.data, [0.999], 1e-6, "idle");
  assert.deepEqual([...frozen.data], [1, 2, 3, 4]);
  assert.deepEqual([...(result.statistics.get("average") ?? [])], [1]);
  average.data[0] = 1;
  const again = await step.run(feeds);
  assert.deepEqual([...(again.statistics.get("average") ?? [])], [1.5]);
  again.free();
  assert.equal(again.gradients.get("w")?.length, 0);
});
