import assert from "node:assert/strict";
import test from "node:test";
import { DatasetError } from "../../errors.js";
import { parseTable } from "./table.js";

/** Matches a one-line `DatasetError` with a hint, whose message contains all `parts`. */
function datasetError(...parts: string[]): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DatasetError, String(error));
    assert.ok(error.hint, "no hint");
    for (const part of parts) assert.ok(error.message.includes(part), `"${error.message}" lacks "${part}"`);
    return true;
  };
}

test("tables: quotes, Windows line ends, and rows of another length", () => {
  const table = parseTable('\uFEFFname,split\r\n"a, ""b""",train\r\n\r\nc,"x\ny"\nd,val', {
    source: "t.csv",
    required: ["name"],
  });
  assert.deepEqual(table.rows, [
    { line: 2, values: { name: 'a, "b"', split: "train" } },
    { line: 4, values: { name: "c", split: "x\ny" } },
    { line: 6, values: { name: "d", split: "val" } },
  ]);
  assert.throws(
    () => parseTable("a,b\n1\n", { source: "t.csv", required: [] }),
    datasetError("t.csv line 2", "2 fields", "found 1"),
  );
  assert.throws(
    () => parseTable("a,b\n1,\n1,2,\n", { source: "t.csv", required: [] }),
    datasetError("line 3", "found 3"),
  );
  assert.throws(
    () => parseTable("a,b\n", { source: "t.csv", required: ["name"] }),
    datasetError("name", "a,b"),
  );
  assert.throws(() => parseTable("", { source: "t.csv", required: ["name"] }), datasetError("nothing"));
  assert.throws(
    () => parseTable("a,b,a\n", { source: "t.csv", required: ["a"] }),
    datasetError("one column a", "several"),
  );
  assert.throws(
    () => parseTable('a,b\n"1,2\n', { source: "t.csv", required: [] }),
    datasetError("line 2", "never closed"),
  );
});

test("a misplaced quote and an unclosed one have different errors", () => {
  const wrong = (text: string, ...parts: string[]): void =>
    assert.throws(() => parseTable(text, { source: "t.csv", required: [] }), datasetError(...parts));
  wrong('a,b\n1,x"y"\n', "t.csv line 2", "a quote inside a field");
  wrong('a,b\n"1\n"x,2\n', "t.csv line 3", "a quote inside a field");
  wrong('a,b\n1,2\n3,"4""\n', "t.csv line 3", "a quote that is never closed");
  wrong('a,"b', "t.csv line 1", "a quote that is never closed");
});

test("a field of any length is read or refused", () => {
  const long = "x".repeat(40_000_000);
  const quotes = '""'.repeat(20_000_000);
  const { rows } = parseTable(`a,b\n"${long}",1\n${long},2\n"${quotes}","3\n"\n4,5`, {
    source: "t.csv",
    required: ["a"],
  });
  assert.deepEqual(
    rows.map(({ line, values }) => [line, values.a?.length, values.b]),
    [
      [2, long.length, "1"],
      [3, long.length, "2"],
      [4, quotes.length / 2, "3"],
      [6, 1, "5"],
    ],
  );
  assert.throws(
    () => parseTable(`a\n"${quotes}`, { source: "t.csv", required: [] }),
    datasetError("line 2", "never closed"),
  );
  assert.throws(
    () => parseTable(`a\n${quotes}x`, { source: "t.csv", required: [] }),
    datasetError("line 2", "inside a field"),
  );
});

test("onFault gets every malformed row, and the other rows are returned", () => {
  const faults: string[] = [];
  const text = 'a,b\n1\n2,3\n4,x"y"\n"5\n",6\n7,8,9\n10,11\n"12,\n13,14\n';
  const { rows } = parseTable(text, {
    source: "t.csv",
    required: ["a"],
    onFault: ({ message }) => faults.push(message),
  });
  assert.deepEqual(
    rows.map(({ line, values }) => [line, values.a]),
    [
      [3, "2"],
      [5, "5"],
      [8, "10"],
    ],
  );
  assert.deepEqual(faults, [
    "t.csv line 2: expected 2 fields, found 1",
    "t.csv line 4: a quote inside a field",
    "t.csv line 7: expected 2 fields, found 3",
    "t.csv line 9: a quote that is never closed",
  ]);
});
