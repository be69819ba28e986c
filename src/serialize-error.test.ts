import assert from "node:assert/strict";
import test from "node:test";
import * as errors from "./errors.js";
import { deserializeError, serializeError } from "./serialize-error.js";

/** The error as the other end of a message port rebuilds it. */
function posted(error: unknown): Error {
  return deserializeError(structuredClone(serializeError(error)));
}

test("every error class of avseg survives a message port, with hint, stack and cause", () => {
  const { AvsegError, CheckpointError, ConfigError, DatasetError, MediaError, OutputError } = errors;
  const { ArchiveError, DistributedError, DivergenceError, LockedError, OutOfMemoryError } = errors;
  const classes = [AvsegError, CheckpointError, ConfigError, DatasetError, MediaError, OutputError];
  classes.push(ArchiveError, DistributedError, DivergenceError, LockedError, OutOfMemoryError);
  // A class that is added must be in the table of serializeError, and here.
  const exported = Object.keys(errors).filter((name) => name.endsWith("Error"));
  assert.deepEqual(classes.map(({ name }) => name).sort(), exported.sort());
  for (const Class of classes) {
    const cause = new errors.MediaError("a.wav: truncated", { hint: "Record it again." });
    const thrown = new Class("clip a cannot be used", { hint: "Remove it.", cause });
    const error = posted(thrown);
    assert.equal(error.constructor, Class);
    assert.ok(error instanceof errors.AvsegError);
    assert.equal(error.name, Class.name);
    assert.equal(error.message, "clip a cannot be used");
    assert.equal(error.hint, "Remove it.");
    assert.equal(error.stack, thrown.stack);
    assert.ok(error.cause instanceof errors.MediaError);
    assert.equal(error.cause.hint, "Record it again.");
  }
});

test("built-in errors keep their class, others their name, and system errors their code", () => {
  assert.ok(posted(new RangeError("axis 3")) instanceof RangeError);
  assert.ok(posted(new TypeError("x")) instanceof TypeError);
  const missing = Object.assign(new Error("no such file"), { code: "ENOENT" });
  assert.deepEqual(Reflect.get(posted(missing), "code"), "ENOENT");
  class ForeignError extends Error {
    override readonly name = "ForeignError";
  }
  const foreign = posted(new ForeignError("from a package"));
  assert.deepEqual([foreign.name, foreign.message], ["ForeignError", "from a package"]);
  assert.equal(posted("a string").message, "a string");
  const abort = posted(new DOMException("interrupted", "AbortError"));
  assert.ok(abort instanceof DOMException && abort.name === "AbortError");
  for (const name of ["constructor", "__proto__", "toString"]) {
    assert.equal(deserializeError({ name, message: "m" }).constructor, Error);
  }
});

test("a circular chain of causes ends", () => {
  const a = new Error("a");
  a.cause = new Error("b", { cause: a });
  assert.equal(posted(a).message, "a");
  assert.equal(errors.isOutOfMemory(a), false);
});

test("failed allocations are distinguished from wrong arguments, through any number of causes", () => {
  const thrownBy = (work: () => unknown): unknown => {
    try {
      return work();
    } catch (error) {
      return error;
    }
  };
  for (const allocate of [() => new ArrayBuffer(2 ** 50), () => new Float32Array(2 ** 50)]) {
    const error = thrownBy(allocate);
    assert.ok(error instanceof RangeError && errors.isOutOfMemory(error), String(error));
    assert.ok(errors.isOutOfMemory(new errors.DatasetError("clip a", { cause: error })));
  }
  assert.equal(errors.isOutOfMemory(thrownBy(() => new Float32Array(-1))), false);
  assert.equal(errors.isOutOfMemory(new RangeError("softmax: axis 3 of [2,2]")), false);
  assert.equal(errors.isOutOfMemory("out of memory"), false);
});
