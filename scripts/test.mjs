/** `npm test [PATTERN]`: sets up, builds, and runs every test file whose path contains PATTERN. */
import { readdirSync } from "node:fs";
import path from "node:path";
import { root, run, setUp } from "./setup.mjs";

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
run(process.execPath, [
  "--enable-source-maps",
  "--test",
  "--test-concurrency=2",
  "--test-reporter=dot",
  "--test-reporter-destination=stderr",
  "--test-reporter=tap",
  "--test-reporter-destination=stdout",
  ...files.map((name) => path.join("dist", name.replace(/\.ts$/, ".js"))),
]);
