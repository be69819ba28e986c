import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import test from "node:test";
import { seededInput } from "../../../test/support.js";
import { tempDir } from "../../../test/temp-dir.js";
import { loadTorchTensor } from "../../weights/node/load.js";
import { encodeTensorPickle } from "./log-mel-pickle.js";

test("a pickled tensor reads back the same", async (t) => {
  const dir = await tempDir(t);
  const tensor = seededInput("pickle", [5, 1, 96, 64]);
  const file = path.join(dir, "log_mel.pkl");
  await writeFile(file, encodeTensorPickle(tensor));
  assert.deepEqual(await loadTorchTensor(file), tensor);
});
