/**
 * `node avseg.js NAME FOLDER THREADS`: avseg as a contestant of `race.ts`, with the protocol of `peer.py`. It opens the
 * file that a user would open: the checkpoint, with or without the cache of opened models, or the export in 8 bits.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import readline from "node:readline";
import { openPredictor } from "../../src/inference/node/open-predictor.js";
import { asF32, full, type TensorOf } from "../../src/tensor.js";
import { loadSafetensors } from "../../src/weights/node/safetensors-file.js";
import { frameCount } from "../samples.js";

const [name = "", folder = "", threads = ""] = process.argv.slice(2);
const { tensors } = await loadSafetensors(path.join(folder, "inputs.safetensors"));
const frames = tensors.get("frames");
const logMel = tensors.get("logMel");
if (frames?.dtype !== "u8" || logMel === undefined) throw new Error(`${folder}: no inputs`);
const predictor = await openPredictor({
  checkpoint: path.join(folder, name === "avseg-int8" ? "avseg-int8.onnx" : "weights.safetensors"),
  runtime: { threads: Number(threads) },
  cache: name === "avseg-cached" ? undefined : false,
});
const batch = { frames, logMel: asF32(logMel, "logMel"), frameMask: full([frameCount], 1) };
const forward = (): Promise<TensorOf<"f32">> => predictor.predict(batch);
await writeFile(path.join(folder, `${name}.f32`), (await forward()).data);
process.stdout.write("ready\n");
for await (const _ of readline.createInterface({ input: process.stdin })) {
  const started = performance.now();
  await forward();
  process.stdout.write(`${(performance.now() - started) / 1000}\n`);
}
await predictor.close();
