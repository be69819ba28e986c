import assert from "node:assert/strict";
import test from "node:test";
import { evaluate, inputLike } from "../../test/graphs.js";
import { seededInput } from "../../test/support.js";
import { gradients } from "../graph/index.js";
import { asF32, f32, type Tensor } from "../tensor.js";
import { conceptLoss } from "./concept-loss.js";

const [frames, names, side] = [3, 2, 2];
const sound = seededInput("sound", [frames, names]);
const cells = seededInput("cells", [frames, names + 1, side, side]);
/** Frame 0: cell 0 is full, cell 1 a quarter, the others empty; frame 1: all cells are empty; frame 2: all are full. */
const target = Float32Array.from({ length: frames * 16 }, (_, i) => {
  const [n, row, column] = [Math.floor(i / 16), Math.floor((i % 16) / 4), i % 4];
  if (n > 0) return n - 1;
  return (row < 2 && column < 2) || (row === 0 && column === 2) ? 1 : 0;
});

async function lossOfFrames(concept: readonly number[], counts: readonly number[], changed = sound) {
  const feeds: Record<string, Tensor> = {
    sound: changed,
    cells,
    target: f32(target, [frames, 1, 4, 4]),
    concept: { dtype: "i32", shape: [frames], data: Int32Array.from(concept) },
    counts: f32([...counts], [frames]),
  };
  const value = (key: string) => inputLike(key, feeds[key]!);
  const heard = value("sound");
  const loss = conceptLoss(
    { sound: heard, cells: value("cells") },
    { target: value("target"), concept: value("concept"), counts: value("counts") },
  );
  const [gradient] = gradients([{ y: loss }], [heard]);
  const found = await evaluate({ loss, ...(gradient && { gradient }) }, feeds);
  return { loss: asF32(found.loss!, "loss").data[0]!, gradient: asF32(found.gradient!, "gradient").data };
}

/** log softmax of element `k`. */
const logProbability = (x: readonly number[], k: number) =>
  x[k]! - Math.log(x.reduce((sum, v) => sum + Math.exp(v), 0));

test("the clip's category is expected of the sound and of full cells, the rest of empty ones", async () => {
  const data = asF32(cells, "cells").data;
  const cell = (n: number, at: number) => [0, 1, 2].map((k) => data[n * 12 + k * 4 + at]!);
  const heard = (n: number, k: number) =>
    -logProbability([...asF32(sound, "sound").data.slice(2 * n, 2 * n + 2)], k);
  const first =
    -(logProbability(cell(0, 0), 1) + 0.2 * (logProbability(cell(0, 2), 2) + logProbability(cell(0, 3), 2))) /
    1.4;
  const second = -[0, 1, 2, 3].reduce((sum, at) => sum + logProbability(cell(1, at), 2), 0) / 4;
  const { loss } = await lossOfFrames([1, 0, -1], [1, 1, 1]);
  // The third frame has no concept: it adds nothing, and is one of the frames that the mean is over.
  assert.ok(Math.abs(loss - (heard(0, 1) + first + heard(1, 0) + second) / 3) < 1e-5, `${loss}`);
  const without = await lossOfFrames([1, 0, 1], [1, 0, 0]);
  assert.ok(Math.abs(without.loss - (heard(0, 1) + first)) < 1e-5);
});

test("its gradient agrees with finite differences", async () => {
  const { gradient } = await lossOfFrames([1, 0, 1], [1, 1, 1]);
  const step = 1e-2;
  for (let i = 0; i < frames * names; i++) {
    const at = async (delta: number) => {
      const data = Float32Array.from(asF32(sound, "sound").data);
      data[i] = data[i]! + delta;
      return (await lossOfFrames([1, 0, 1], [1, 1, 1], f32(data, [frames, names]))).loss;
    };
    const slope = ((await at(step)) - (await at(-step))) / (2 * step);
    assert.ok(Math.abs(slope - gradient[i]!) < 1e-3, `${i}: ${slope}, ${gradient[i]}`);
  }
});
