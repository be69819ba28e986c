import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../errors.js";
import { f32 } from "../tensor.js";
import { createOptimizer, type OptimizerConfig } from "./optimizers.js";
import { scheduleFactor } from "./schedule.js";

/** Runs `steps` on one scalar with a gradient that depends on it. */
function trajectory(config: OptimizerConfig, gradient: (x: number) => number, lr: number, steps: number) {
  const value = f32([1], [1]);
  const optimizer = createOptimizer(config);
  return Array.from({ length: steps }, () => {
    const g = Float32Array.of(gradient(value.data[0] as number));
    optimizer.step([{ name: "x", value, gradient: g }], lr);
    return value.data[0] as number;
  });
}

const near = (actual: readonly number[], expected: readonly number[]) => {
  for (const [i, e] of expected.entries())
    assert.ok(Math.abs((actual[i] ?? Number.NaN) - e) < 2e-7, `${actual}`);
};

test("AdamW decays weights directly, Adam through the gradient", () => {
  // With a constant gradient the corrected moments are g and g^2, so each step moves by lr * sign(g).
  near(
    trajectory({ kind: "adamw", weightDecay: 0 }, () => 3, 0.1, 3),
    [0.9, 0.8, 0.7],
  );
  near(
    trajectory({ kind: "adamw", weightDecay: 0.5 }, () => 3, 0.1, 2),
    [0.85, 0.7075],
  );
  near(
    trajectory({ kind: "adamw" }, () => 0, 0.1, 2),
    [0.999, 0.998001],
  );
  near(
    trajectory({ kind: "adam", weightDecay: 0.5 }, () => 0, 0.1, 1),
    [0.9],
  );
});

test("SGD: plain, heavy ball and Nesterov", () => {
  near(
    trajectory({ kind: "sgd", weightDecay: 1 }, () => 1, 0.1, 2),
    [0.8, 0.62],
  );
  near(
    trajectory({ kind: "sgd", momentum: 0.9 }, () => 1, 0.1, 3),
    [0.9, 0.71, 0.439],
  );
  near(
    trajectory({ kind: "sgd", momentum: 0.9, nesterov: true }, () => 1, 0.1, 2),
    [0.81, 0.539],
  );
});

test("every optimizer finds the minimum of the Rosenbrock function", () => {
  const cases: [OptimizerConfig, number][] = [
    [{ kind: "adamw", weightDecay: 0 }, 0.01],
    [{ kind: "adam" }, 0.01],
    [{ kind: "sgd", momentum: 0.9 }, 0.0002],
    [{ kind: "sgd", momentum: 0.9, nesterov: true }, 0.0002],
  ];
  for (const [config, lr] of cases) {
    const value = f32([-1.2, 1], [2]);
    const optimizer = createOptimizer(config);
    for (let i = 0; i < 20_000; i++) {
      const [x = 0, y = 0] = value.data;
      const gradient = Float32Array.of(-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x));
      optimizer.step([{ name: "xy", value, gradient }], lr);
    }
    const [x = 0, y = 0] = value.data;
    assert.ok(Math.hypot(x - 1, y - 1) < 1e-2, `${JSON.stringify(config)} ended at ${x}, ${y}`);
  }
});

test("a parameter without a gradient only decays", () => {
  const value = f32([2, 4], [2]);
  createOptimizer({ kind: "adamw", weightDecay: 0.1 }).step([{ name: "w", value, gradient: undefined }], 0.5);
  near([...value.data], [1.9, 3.8]);
});

test("restored state continues bit for bit, and a late parameter counts its own steps", () => {
  for (const kind of ["adamw", "adam", "sgd"] as const) {
    const config: OptimizerConfig = kind === "sgd" ? { kind, momentum: 0.9 } : { kind };
    const run = (restart: boolean) => {
      let optimizer = createOptimizer(config);
      const a = f32([0.3, -0.7], [2]);
      const b = f32([0.9], [1]);
      for (let i = 0; i < 8; i++) {
        if (restart && i === 5) {
          const state = new Map(optimizer.state());
          optimizer = createOptimizer(config);
          optimizer.restore(state);
        }
        const trainables = [{ name: "a", value: a, gradient: Float32Array.of(Math.sin(i), 0.1 * i) }];
        if (i >= 3) trainables.push({ name: "b", value: b, gradient: Float32Array.of(0.5) });
        optimizer.step(trainables, 0.01);
      }
      return [...a.data, ...b.data];
    };
    assert.deepEqual(run(true), run(false));
  }
});

test("the state of another optimizer is refused", () => {
  const adam = createOptimizer({ kind: "adam" });
  adam.step([{ name: "w", value: f32([1], [1]), gradient: undefined }], 0.1);
  const sgd = createOptimizer({ kind: "sgd", momentum: 0.9 });
  assert.throws(() => sgd.restore(adam.state()), CheckpointError);
});

test("schedules: constant, and warm-up then cosine", () => {
  assert.equal(scheduleFactor({ kind: "constant" }, 5, 10), 1);
  const cosine = { kind: "cosine", warmupSteps: 2, finalFraction: 0.1 } as const;
  near(
    [0, 1, 2, 6, 10].map((step) => scheduleFactor(cosine, step, 10)),
    [0.5, 1, 1, 0.55, 0.1],
  );
});
