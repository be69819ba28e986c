/** The list of tests that may be skipped, and the table that `npm test` prints of them. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { pathToFileURL } from "node:url";
import * as z from "zod";
import { root } from "./support.js";

interface Skip {
  readonly test: string;
  readonly file: string;
  readonly reason: string;
}
interface Skips {
  skipTable(skipped: readonly Skip[]): { lines: string[]; unlisted: number };
}
const { skipTable }: Skips = await import(pathToFileURL(path.join(root, "scripts", "skips.mjs")).href);

const entry = z.strictObject({ test: z.string(), reason: z.string().min(1), why: z.string().min(1) });
const allowed = z
  .array(entry)
  .parse(JSON.parse(readFileSync(path.join(root, "test", "allowed-skips.json"), "utf8")));

test("every entry names a test that exists", () => {
  const sources = ["src", "test"]
    .flatMap((folder) =>
      readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".test.ts"))
        .map((name) => readFileSync(path.join(root, folder, name), "utf8")),
    )
    .join("\n");
  for (const { test: name } of allowed) assert.ok(sources.includes(JSON.stringify(name)), name);
});

test("a listed skip is allowed; another reason, test or no reason is not", () => {
  const [first] = allowed;
  assert.ok(first);
  const reason = first.reason.split("|")[0] ?? "";
  const skips: Skip[] = [
    { test: first.test, file: "a.test.ts", reason },
    { test: first.test, file: "a.test.ts", reason: `${reason} today` },
    { test: first.test, file: "a.test.ts", reason: "" },
    { test: "another", file: "longer/b.test.ts", reason },
  ];
  const { lines, unlisted } = skipTable(skips);
  assert.equal(unlisted, 3);
  assert.deepEqual(
    lines.map((line) => line.slice(0, 7)),
    ["allowed", "yes    ", "NO     ", "NO     ", "NO     "],
  );
  assert.match(lines[0] ?? "", /^allowed {2}file {14}skipped test {2,}reason$/);
  assert.deepEqual(skipTable([]), { lines: ["No test was skipped."], unlisted: 0 });
});
