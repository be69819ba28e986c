import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import test, { type TestContext } from "node:test";
import type { FailureKind } from "./protocol.js";
import { readers } from "./readers/index.js";
import { type Plan, superviseReader } from "./supervise.js";

const moduleNamed = (name: string) => new URL(name, import.meta.url).href;

async function planFor(t: TestContext, reader: string, changes: Partial<Plan> = {}): Promise<Plan> {
  const failuresDir = await mkdtemp(path.join(os.tmpdir(), "avseg-fuzz-test-"));
  t.after(() => rm(failuresDir, { recursive: true }));
  // Only the reader that is slow on purpose is held to a time: the machine may be busy.
  const limits = { milliseconds: reader === "time" ? 300 : 60_000, megabytes: 100, messageLength: 2000 };
  const readersModule = moduleNamed("./faulty-readers.js");
  return {
    reader,
    seed: 1,
    first: 0,
    last: 4,
    limits,
    hangMilliseconds: reader === "hang" ? 3000 : 60_000,
    readersModule,
    failuresDir,
    ...changes,
  };
}

/** What a reader with a planted fault is reported for. */
async function kindsOf(t: TestContext, reader: string): Promise<FailureKind[]> {
  const plan = await planFor(t, reader);
  const { failures } = await superviseReader(plan);
  for (const { file } of failures) assert.ok((await readFile(file)).length > 0, "the input is kept");
  return failures.map(({ kind }) => kind);
}

test("a reader that refuses inputs passes", async (t) => {
  const report = await superviseReader(await planFor(t, "sound"));
  assert.deepEqual([report.read, report.accepted, report.failures], [4, 2, []]);
});

for (const [reader, kind] of [
  ["exception", "exception"],
  ["late", "exception"],
  ["message", "message"],
  ["time", "time"],
  ["memory", "memory"],
  ["hang", "hang"],
  ["crash", "crash"],
  ["write", "write"],
  ["write by another process", "write"],
] as const) {
  const measured = kind !== "memory" || process.platform === "linux";
  test(`a reader with the fault "${reader}" is reported`, { skip: !measured && "Linux only" }, async (t) => {
    assert.equal((await kindsOf(t, reader))[0], kind);
  });
}

test("a file that failed can be read again by its number and by its name", async (t) => {
  const plan = await planFor(t, "exception");
  const { failures } = await superviseReader(plan);
  const [failure] = failures;
  assert.ok(failure);
  assert.equal(failure.index, 2);
  const again = await superviseReader({ ...plan, first: 0, last: 1, file: failure.file });
  assert.deepEqual(
    again.failures.map(({ message }) => message),
    [failure.message],
  );
});

test("the inputs of a seed are always the same", async (t) => {
  const plan = await planFor(t, "wav", {
    last: 200,
    readersModule: moduleNamed("./readers/index.js"),
    limits: { milliseconds: 60_000, megabytes: 300, messageLength: 5000 },
  });
  const accepted = async (seed: number) => (await superviseReader({ ...plan, seed })).accepted;
  const first = await accepted(1);
  assert.equal(await accepted(1), first);
  assert.ok(first > 0 && first < 200, `${first} of 200 accepted`);
});

test("every reader reads its valid inputs and stands some changed ones", async (t) => {
  assert.ok(readers.length >= 12);
  for (const { name, external } of readers) {
    const report = await superviseReader(
      await planFor(t, name, {
        last: external ? 1 : 5,
        readersModule: moduleNamed("./readers/index.js"),
        limits: { milliseconds: 60_000, megabytes: 300, messageLength: 5000 },
        hangMilliseconds: 60_000,
      }),
    );
    assert.deepEqual(report.failures, [], name);
  }
});
