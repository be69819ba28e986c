import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { rm } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { assertClose } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { tinyConfig, writeTinyModel } from "../../../test/tiny-model.js";
import { seededBatch } from "../../../test/tiny-models.js";
import { CheckpointError } from "../../errors.js";
import { exportModel } from "../../export/export-model.js";
import { writeFileAtomic } from "../../node/files.js";
import { openModel } from "./open-model.js";

const batch = seededBatch(tinyConfig);

async function logitsOf(checkpoint: string): Promise<Float32Array> {
  const model = await openModel({ checkpoint, runtime: { threads: 1 } });
  const { data } = await model.predict(batch);
  await model.close();
  return data;
}

test("without a checkpoint it is the natural model of the package, wherever the process runs", async (t) => {
  const dir = await tempDir(t);
  await writeFileAtomic(path.join(dir, "work_dir/demo/train/best.safetensors"), "another model");
  const script = `
    import { openModel } from ${JSON.stringify(import.meta.resolve("./open-model.js"))};
    const model = await openModel();
    console.log(model.imageSize);
    await model.close();`;
  const args = ["--input-type=module", "-e", script];
  const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: dir, encoding: "utf8" });
  assert.equal(stdout, "384\n", stderr);
});

test("an exported model whose weights lie beside it opens like its checkpoint", async (t) => {
  const dir = await tempDir(t);
  const checkpoint = path.join(dir, "tiny.safetensors");
  await writeTinyModel(checkpoint);
  const out = path.join(dir, "apart.onnx");
  await exportModel({ checkpoint, out, externalData: true });
  assertClose(await logitsOf(out), await logitsOf(checkpoint), 1e-5, "logits");

  await rm(`${out}.data`);
  await assert.rejects(logitsOf(out), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /apart\.onnx\.data: cannot be read, and holds the weights of .*apart\.onnx$/);
    assert.match(error.hint ?? "", /^Keep the two together/);
    return true;
  });
});
