import assert from "node:assert/strict";
import test from "node:test";
import { oneLine } from "./print.js";

test("a line quotes anything without being steered by it", () => {
  assert.equal(
    oneLine("  note: \x1b]0;owned\x07, \x9b2J, \x7f\r\n\n  more\t."),
    "  note: \\x1b]0;owned\\x07, \\x9b2J, \\x7f more\\x09.",
  );
  assert.equal(oneLine(""), "");
  assert.equal(oneLine('plain, 🎸 "quoted" \\ text'), 'plain, 🎸 "quoted" \\ text');
  assert.equal(oneLine(`a${" ".repeat(1_000_000)}b`).length, 1_000_002);
});
