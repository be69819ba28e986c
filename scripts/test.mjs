/**
 * `npm test [PATTERN]`: sets up, builds, and runs every test file whose path contains PATTERN. Ends with the tests that
 * were skipped, and why. Where the variable CI is set, a skip that `test/allowed-skips.json` does not allow is a failure.
 */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { finished } from "node:stream/promises";
import { run } from "node:test";
import { dot, tap } from "node:test/reporters";
import {
  ensureChromium,
  ensureMpi,
  ensureQemu,
  ensureRedis,
  ensureStudio,
  ensureVenv,
  root,
  setUp,
} from "./setup.mjs";
import { skipTable } from "./skips.mjs";

setUp();
const pattern = process.argv[2] ?? "";
const files = ["src", "test", "bench", "fuzz"]
  .flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true })
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => path.join(folder, name)),
  )
  .filter((name) => name.includes(pattern))
  .sort();
if (files.length === 0) {
  console.error(`avseg: no test file has "${pattern}" in its path`);
  process.exit(1);
}
if (files.some((name) => path.basename(name).startsWith("web"))) await ensureChromium();
if (files.some((name) => path.basename(name) === "examples.test.ts")) ensureVenv();
if (files.some((name) => path.basename(name) === "int8.test.ts")) ensureQemu();
if (files.some((name) => path.basename(name).startsWith("web-studio"))) ensureStudio();
if (files.some((name) => path.basename(name).startsWith("archive"))) ensureRedis();
if (files.some((name) => path.basename(name) === "distributed.test.ts")) ensureMpi();

// Tests have a cache of their own: they leave nothing in the user's, and its contents cannot hide a fault.
const cache = mkdtempSync(path.join(tmpdir(), "avseg-test-cache-"));
process.env.AVSEG_CACHE = cache;
process.once("exit", () => rmSync(cache, { recursive: true, force: true }));
process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));

const events = run({
  files: files.map((name) => path.join(root, "dist", name.replace(/\.ts$/, ".js"))),
  concurrency: 2,
});
const skipped = [];
events.on("test:pass", ({ name, file, skip }) => {
  if (skip !== undefined)
    skipped.push({ test: name, file: sourceOf(file), reason: skip === true ? "" : skip });
});
events.on("test:fail", ({ todo }) => {
  if (todo === undefined) process.exitCode = 1;
});
events.compose(dot).pipe(process.stderr);
const report = events.compose(tap);
report.pipe(process.stdout, { end: false });
await finished(report);

const { lines, unlisted } = skipTable(skipped);
console.log(lines.map((line) => `# ${line}`).join("\n"));
if (unlisted > 0 && process.env.CI) {
  console.error(`avseg: ${unlisted} skipped without being allowed in test/allowed-skips.json`);
  process.exitCode = 1;
}

/** The source of a compiled test, for people. */
function sourceOf(file) {
  return path.relative(path.join(root, "dist"), file ?? "").replace(/\.js$/, ".ts");
}
