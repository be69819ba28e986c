import assert from "node:assert/strict";
import test from "node:test";
import { CheckpointError } from "./errors.js";

test("the middle of a very long message is left out", () => {
  const { message } = new CheckpointError(`x.pth: tensor ${"a".repeat(1_000_000)} has the dtype Q4`);
  assert.ok(message.length < 5000, `${message.length}`);
  assert.match(message, /^x\.pth: tensor a+ \[\d+ characters left out\] a+ has the dtype Q4$/);
  const plain = `x.pth: ${"a".repeat(1000)}`;
  assert.equal(new CheckpointError(plain).message, plain);
});
