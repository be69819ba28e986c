/** Which tests may be skipped: `test/allowed-skips.json`, an array of {"test", "reason", "why"}. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { root } from "./setup.mjs";

const allowed = JSON.parse(readFileSync(path.join(root, "test", "allowed-skips.json"), "utf8"));

/** Whether the list has this test (its exact name) with this reason (`reason` of the list is a regular expression). */
function isAllowed({ test, reason }) {
  return allowed.some((entry) => entry.test === test && new RegExp(`^(?:${entry.reason})$`).test(reason));
}

/** The skipped tests, each {test, file, reason}, as the lines of a table, and how many of them the list does not allow. */
export function skipTable(skipped) {
  if (skipped.length === 0) return { lines: ["No test was skipped."], unlisted: 0 };
  const rows = skipped.map((skip) => ({ ...skip, allowed: isAllowed(skip) ? "yes" : "NO" }));
  const titles = { test: "skipped test", file: "file", reason: "reason", allowed: "allowed" };
  const columns = ["allowed", "file", "test", "reason"];
  const widths = columns.map((key) => Math.max(...[titles, ...rows].map((row) => row[key].length)));
  const line = (row) =>
    columns
      .map((key, i) => row[key].padEnd(widths[i]))
      .join("  ")
      .trimEnd();
  return {
    lines: [line(titles), ...rows.map(line)],
    unlisted: rows.filter((row) => row.allowed === "NO").length,
  };
}
