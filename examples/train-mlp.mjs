/**
 * Trains a network from scratch with the engine alone (no audio, no video) and writes it as ONNX:
 *
 *   node examples/train-mlp.mjs [OUT.onnx]
 */
import { writeFile } from "node:fs/promises";
import {
  createOptimizer,
  emitOnnx,
  f32,
  gradients,
  initialState,
  input,
  nn,
  nodeRuntime,
  ops,
  Random,
  Scope,
  serializeOnnx,
} from "avseg/engine";

// Two interleaved half circles with noise: points [N,2] and their labels [N,1].
function twoMoons(count, random) {
  const labels = Array.from({ length: count }, (_, i) => i % 2);
  const noise = () => random.uniform(-0.2, 0.2);
  const points = labels.flatMap((label) => {
    const angle = random.uniform(0, Math.PI);
    const [x, y] = [Math.cos(angle) + noise(), Math.sin(angle) + noise()];
    return label === 0 ? [x, y] : [1 - x, 0.5 - y];
  });
  return { points: f32(points, [count, 2]), labels: f32(labels, [count, 1]) };
}

// [train]
const scope = new Scope(); // the root of the parameters' names
const hidden1 = nn.linear(scope.at("hidden1"), 2, 32); // hidden1.weight, hidden1.bias
const hidden2 = nn.linear(scope.at("hidden2"), 32, 32);
const output = nn.linear(scope.at("output"), 32, 1);
const model = (x) => output(ops.tanh(hidden2(ops.tanh(hidden1(x)))));

const count = 400;
const logits = model(input("points", [count, 2]));
const labels = input("labels", [count, 1]);
const loss = ops.mean(ops.sub(ops.softplus(logits), ops.mul(labels, logits))); // binary cross-entropy
const keys = [...scope.values().keys()];
const slopes = gradients([{ y: loss }], [...scope.values().values()]);

const runtime = nodeRuntime();
const outputs = { loss, ...Object.fromEntries(keys.map((key, i) => [`gradient ${key}`, slopes[i]])) };
// Weights that change are inputs of every run; the others would be frozen into the session.
const graph = emitOnnx(outputs, { asInputs: new Set(keys), target: runtime.supports });
const session = await runtime.createSession({ graph, weights: new Map() });

const weights = initialState(scope.specs(), 1); // by key, for seed 1
const optimizer = createOptimizer({ kind: "adam" });
const data = twoMoons(count, new Random(1));
for (let step = 1; step <= 300; step++) {
  const out = await session.run({ ...data, ...Object.fromEntries(weights) });
  const trained = keys.map((name) => {
    return { name, value: weights.get(name), gradient: out[`gradient ${name}`].data };
  });
  optimizer.step(trained, 0.01); // updates the arrays of `weights`
  if (step % 100 === 0) console.log(`step ${step}: loss ${out.loss.data[0].toFixed(4)}`);
}
// [end]

// Points that it has not seen, with the trained weights frozen into the graph.
const test = twoMoons(1000, new Random(2));
const inference = emitOnnx({ logits: model(input("points", test.points.shape)) });
const classifier = await runtime.createSession({ graph: inference, weights });
const predicted = (await classifier.run({ points: test.points })).logits.data;
const right = predicted.reduce((n, logit, i) => n + (logit > 0 === test.labels.data[i] > 0 ? 1 : 0), 0);
console.log(`accuracy on ${predicted.length} new points: ${((100 * right) / predicted.length).toFixed(1)}%`);
await runtime.close();

const out = process.argv[2];
if (out !== undefined) {
  await writeFile(
    out,
    serializeOnnx(inference, { parameter: ({ name }) => ({ bytes: weights.get(name).data }) }),
  );
  console.log(`${out} written, for any runtime of ONNX`);
}
