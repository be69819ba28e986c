/** What `npm pack` puts into the package: everything that is needed to use it, and nothing else. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { z } from "zod";
import { root } from "./support.js";

const packed = z.tuple([
  z.object({ size: z.number(), files: z.array(z.object({ path: z.string(), size: z.number() })) }),
]);
const manifest = z.object({
  bin: z.record(z.string(), z.string()),
  types: z.string(),
  exports: z.record(z.string(), z.union([z.string(), z.record(z.string(), z.string())])),
});

const [{ size, files }] = packed.parse(
  JSON.parse(
    execFileSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }),
  ),
);
const names = new Set(files.map((file) => file.path));

test("everything that package.json names is in the package", () => {
  const { bin, types, exports } = manifest.parse(
    JSON.parse(readFileSync(path.join(root, "package.json"), "utf8")),
  );
  const targets = [
    types,
    ...Object.values(bin),
    ...Object.values(exports).flatMap((e) => (typeof e === "string" ? [e] : Object.values(e))),
  ].map((target) => path.posix.normalize(target));
  assert.deepEqual(
    targets.filter((target) => !names.has(target)),
    [],
  );
  // The workers are started by their paths, which no import shows.
  for (const worker of ["runtime/node/worker.js", "runtime/web/worker.js", "datasets/loader-worker.js"]) {
    assert.ok(names.has(`dist/src/${worker}`), worker);
  }
});

test("nothing superfluous is in the package", () => {
  const foreign = [...names].filter(
    (name) => !/^(dist\/src|assets|config|docs)\/|^[A-Z]+(\.md)?$|^package\.json$/.test(name),
  );
  assert.deepEqual(foreign, []);
  const idle = [...names].filter((name) => /\.test\.|\.map$|\.tsbuildinfo$|^docs\/api\//.test(name));
  assert.deepEqual(idle, []);
  // Builds leave what was renamed or removed: in a package it would be dead weight.
  const stale = [...names].filter((name) => {
    const source = /^dist\/(src\/.*?)(\.d)?\.[jt]s$/.exec(name)?.[1];
    return source !== undefined && !existsSync(path.join(root, `${source}.ts`));
  });
  assert.deepEqual(stale, [], "remove dist/ and build again");
  assert.ok(size < 25e6, `${size} bytes packed`);
});
