/**
 * One training step as a session: a graph that computes the loss, the gradients of all trained parameters and
 * new running statistics; then the optimizer, over flat arrays, on this thread.
 */
import { DivergenceError } from "../errors.js";
import { emitOnnx, gradients, parameterName, topologicalOrder, type Value } from "../graph/index.js";
import type { Optimizer } from "../optim/optimizers.js";
import { discard } from "../runtime/discard.js";
import type { Runtime, Tensors } from "../runtime/runtime.js";
import { asF32, type TensorOf } from "../tensor.js";
import type { WeightStore } from "../weights/weight-store.js";

/** What a step computes, symbolically. */
export interface StepDefinition {
  /** The number to minimize, `f32[]`. */
  readonly loss: Value;
  /** Further numbers to report, `f32[]` each. */
  readonly reports: ReadonlyMap<string, Value>;
  /** Leaves to train, made by `parameter`. */
  readonly trainable: readonly Value[];
  /** New values of running statistics, by the key of the parameter they replace. */
  readonly updates: ReadonlyMap<string, Value>;
}

/** What a step reports. */
export interface StepResult {
  readonly loss: number;
  readonly reports: Readonly<Record<string, number>>;
}

/** A compiled step. */
export interface TrainingStep {
  /** Keys of the parameters that this step trains. */
  readonly trainedKeys: readonly string[];
  /**
   * Runs the graph on `feeds`, then updates the trained parameters and statistics in place.
   * Throws `DivergenceError` when the loss is not finite; nothing is changed then.
   */
  run(feeds: Tensors, optimizer: Optimizer, learningRate: number): Promise<StepResult>;
  close(): Promise<void>;
}

const gradientOf = (key: string): string => `gradient:${key}`;
const updateOf = (key: string): string => `update:${key}`;

/**
 * Compiles a step. The store's resident weights are those that train and running statistics: `run` updates them in
 * place. The others are frozen into the session.
 */
export async function compileStep(
  runtime: Runtime,
  store: WeightStore,
  definition: StepDefinition,
): Promise<TrainingStep> {
  const trainedKeys = definition.trainable.map(parameterName);
  const outputs: Record<string, Value> = { loss: definition.loss };
  for (const [name, value] of definition.reports) outputs[`report:${name}`] = value;
  for (const [key, value] of definition.updates) outputs[updateOf(key)] = value;
  // A parameter that the loss does not depend on has no gradient, but still decays.
  const involved = new Set(topologicalOrder([definition.loss]));
  const differentiated = definition.trainable.filter(({ node }) => involved.has(node));
  gradients([{ y: definition.loss }], differentiated).forEach((value, i) => {
    const leaf = differentiated[i];
    if (leaf) outputs[gradientOf(parameterName(leaf))] = value;
  });
  const asInputs = new Set([...trainedKeys, ...definition.updates.keys()]);
  const graph = emitOnnx(outputs, { asInputs, target: runtime.supports });
  const weights = await store.take(graph.parameters.map(({ name }) => name));
  const session = await runtime.createSession({ graph, weights, name: "training step" });
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const own = (key: string): TensorOf<"f32"> => {
    const tensor = store.resident.get(key);
    if (!tensor) throw new Error(`training step: no weight ${key}`);
    return asF32(tensor, key);
  };
  const trained = trainedKeys.map((name) => ({ name, value: own(name) }));
  const statistics = [...definition.updates.keys()].map((name) => ({ name, value: own(name) }));
  const fedParameters = [...trained, ...statistics].filter(({ name }) => inputs.has(name));

  return {
    trainedKeys,
    async run(feeds, optimizer, learningRate) {
      const all = { ...feeds, ...Object.fromEntries(fedParameters.map(({ name, value }) => [name, value])) };
      const out = await session.run(all);
      const number = (name: string): number => {
        const tensor = out[name];
        return tensor ? (asF32(tensor, name).data[0] ?? Number.NaN) : Number.NaN;
      };
      const loss = number("loss");
      if (!Number.isFinite(loss)) throw new DivergenceError(`the loss is ${loss}`);
      const gradientData = (name: string): Float32Array | undefined => {
        const tensor = out[gradientOf(name)];
        return tensor && asF32(tensor, name).data;
      };
      optimizer.step(
        trained.map(({ name, value }) => ({ name, value, gradient: gradientData(name) })),
        learningRate,
      );
      for (const { name, value } of statistics) {
        const update = out[updateOf(name)];
        if (update) value.data.set(asF32(update, name).data);
      }
      const names = [...definition.reports.keys()];
      const reports = Object.fromEntries(names.map((name) => [name, number(`report:${name}`)]));
      // Gradients of millions of parameters: freed before the next step allocates as many.
      discard(Object.values(out).map(({ data }) => data.buffer));
      return { loss, reports };
    },
    close: () => session.close(),
  };
}
