/**
 * The graph of a training step as a session: the loss, the gradients of all trained parameters, and new running
 * statistics. What is done with them is for `BatchStep`.
 */
import { emitOnnx, gradients, parameterName, topologicalOrder, type Value } from "../graph/index.js";
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

/** What the graph of a step gives. */
export interface StepOutput extends StepResult {
  /** By parameter; one that the loss does not depend on has none. */
  readonly gradients: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** New running statistics by key. */
  readonly statistics: ReadonlyMap<string, Float32Array<ArrayBuffer>>;
  /** Frees the arrays at once instead of at the next garbage collection: those of millions of parameters. */
  free(): void;
}

/** A compiled step. */
export interface TrainingStep {
  /** Runs the graph on `feeds` with the present weights. */
  run(feeds: Tensors): Promise<StepOutput>;
  close(): Promise<void>;
}

const gradientOf = (key: string): string => `gradient:${key}`;
const updateOf = (key: string): string => `update:${key}`;

/**
 * Compiles a step. The store's resident weights are those that train and running statistics: they are fed at every run.
 * The others are frozen into the session.
 */
export async function compileStep(
  runtime: Runtime,
  store: WeightStore,
  definition: StepDefinition,
): Promise<TrainingStep> {
  const { loss, reports, trainable, updates } = definition;
  const outputs: Record<string, Value> = { loss };
  for (const [name, value] of reports) outputs[`report:${name}`] = value;
  for (const [key, value] of updates) outputs[updateOf(key)] = value;
  const involved = new Set(topologicalOrder([loss]));
  const differentiated = trainable.filter(({ node }) => involved.has(node));
  const differentiatedKeys = differentiated.map(parameterName);
  gradients([{ y: loss }], differentiated).forEach((value, i) => {
    const leaf = differentiated[i];
    if (leaf) outputs[gradientOf(parameterName(leaf))] = value;
  });
  const asInputs = new Set([...trainable.map(parameterName), ...updates.keys()]);
  const graph = emitOnnx(outputs, { asInputs, target: runtime.supports });
  const weights = await store.take(graph.parameters.map(({ name }) => name));
  const session = await runtime.createSession({ graph, weights, name: "training step" });
  const fedParameters = graph.inputs.flatMap(({ name }): [string, TensorOf<"f32">][] => {
    if (!asInputs.has(name)) return [];
    const tensor = store.resident.get(name);
    if (!tensor) throw new Error(`training step: no weight ${name}`);
    return [[name, asF32(tensor, name)]];
  });
  return {
    async run(feeds) {
      const out = await session.run({ ...feeds, ...Object.fromEntries(fedParameters) });
      const data = (name: string): Float32Array<ArrayBuffer> => {
        const tensor = out[name];
        if (!tensor) throw new Error(`training step: no output ${name}`);
        return asF32(tensor, name).data;
      };
      const number = (name: string): number => data(name)[0] ?? Number.NaN;
      return {
        loss: number("loss"),
        reports: Object.fromEntries([...reports.keys()].map((name) => [name, number(`report:${name}`)])),
        gradients: new Map(differentiatedKeys.map((key) => [key, data(gradientOf(key))])),
        statistics: new Map([...updates.keys()].map((key) => [key, data(updateOf(key))])),
        free: () => discard(Object.values(out).map(({ data: { buffer } }) => buffer)),
      };
    },
    close: () => session.close(),
  };
}
