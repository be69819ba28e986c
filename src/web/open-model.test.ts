import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "../errors.js";
import { openModel } from "./open-model.js";

test("the name of a public model is refused with the way to serve it", async () => {
  await assert.rejects(openModel({ checkpoint: "seavs-s4" }), (error) => {
    assert.ok(error instanceof CheckpointError);
    assert.match(error.message, /seavs-s4 is a public model, whose host does not serve it to web pages/);
    assert.match(error.hint ?? "", /avseg export --model seavs-s4 --out seavs-s4\.onnx/);
    return true;
  });
});
