/** The layering that docs/architecture.md promises: imports point down, and pure files stay pure. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { root } from "./support.js";

/** Folders of src from the bottom up; each may import only from itself and those before it. */
const layers = [
  "graph",
  "runtime",
  "config",
  "nn",
  "media",
  "weights",
  "models",
  "datasets",
  "evaluation",
  "training",
  "segment",
  "export",
  "web",
  "cli",
];

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

const sources = readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" }).filter(
  (name) => name.endsWith(".ts") && !name.endsWith(".test.ts"),
);

const imports: Import[] = sources.flatMap((file) => {
  const text = readFileSync(path.join(root, "src", file), "utf8");
  return [...text.matchAll(/^(?:import|export)\s+(type\s)?[^;]*?from\s+"([^"]+)"/gms)].map((m) => ({
    file,
    target: m[2]?.startsWith(".") ? path.join(path.dirname(file), m[2]) : (m[2] ?? ""),
    typeOnly: m[1] !== undefined,
  }));
});

const layerOf = (file: string) => layers.indexOf(file.split(path.sep)[0] ?? "");
const isNodeFile = (file: string) =>
  /^index\.[jt]s$|\.node\.[jt]s$/.test(file) ||
  /^runtime[/\\]node\.[jt]s$/.test(file) ||
  /^cli[/\\]/.test(file);
const isOwn = (target: string) => target.endsWith(".js");

test("imports were found", () => assert.ok(imports.length > 100, `${imports.length} imports`));

test("imports point down only", () => {
  const upward = imports.filter(
    (i) => isOwn(i.target) && layerOf(i.target) > layerOf(i.file) && layerOf(i.file) >= 0,
  );
  assert.deepEqual(upward, []);
});

test("files for the web do not reach Node or native packages", () => {
  const impure = imports.filter(
    (i) =>
      !i.typeOnly &&
      !isNodeFile(i.file) &&
      (i.target.startsWith("node:") ||
        ["sharp", "onnxruntime-node", "undici"].includes(i.target) ||
        (isOwn(i.target) && isNodeFile(i.target))),
  );
  assert.deepEqual(impure, []);
});
