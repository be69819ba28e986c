/** The layering that docs/architecture.md promises: imports point down, in no circle, and web code stays free of Node. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { root } from "./support.js";

/**
 * Folders of src from the bottom up; each may import only from itself and those before it. `.` holds the files in src
 * itself, except the library's entry, which is above everything but the command line.
 */
const layers = [
  ".",
  "node",
  "graph",
  "runtime",
  "nn",
  "optim",
  "media",
  "weights",
  "models",
  "config",
  "inference",
  "datasets",
  "evaluation",
  "report",
  "distributed",
  "training",
  "segment",
  "archive",
  "export",
  "studio",
  "web",
  "engine",
  "entries",
  "cli",
];

/** The library's entry in src itself. */
const entries = new Set(["index.ts"]);

/** Folders for Node alone, at any depth. */
const nodeFolders = new Set([
  "node",
  "hub",
  "config",
  "datasets",
  "evaluation",
  "report",
  "distributed",
  "training",
  "export",
  "archive",
  "cli",
]);

/** Packages that exist for Node alone. */
const nodePackages = new Set([
  "sharp",
  "onnxruntime-node",
  "undici",
  "htmlparser2",
  "tar",
  "bullmq",
  "ioredis",
  "prom-client",
  "hyparquet-writer",
]);

interface Import {
  readonly file: string;
  /** A file below src, or the name of a package. */
  readonly target: string;
  readonly own: boolean;
  readonly typeOnly: boolean;
}

const source = path.join(root, "src");
const files = readdirSync(source, { recursive: true, encoding: "utf8" })
  .map((name) => name.split(path.sep).join("/"))
  .filter((name) => name.endsWith(".ts") && !/\.(test|d)\.ts$/.test(name));

/**
 * Static imports, re-exports, dynamic imports, and workers started by `new URL("./x.js", import.meta.url)` or
 * `moduleUrl("folder/x.js")`.
 */
function importsOf(file: string): Import[] {
  const text = readFileSync(path.join(source, file), "utf8").replace(/^\s*(?:\/\*\*?|\*|\/\/).*$/gm, "");
  const found = [
    ...[...text.matchAll(/^(?:import|export)\s+(type\s)?(?:[^;"]*?\sfrom\s+)?"([^"]+)"/gms)].map((m) => ({
      typeOnly: m[1] !== undefined,
      name: m[2] ?? "",
    })),
    ...[...text.matchAll(/\bimport\(\s*"([^"]+)"|new URL\(\s*"(\.[^"]+\.js)"/g)].map((m) => ({
      typeOnly: false,
      name: m[1] ?? m[2] ?? "",
    })),
    ...[...text.matchAll(/\bmoduleUrl\("([^"]+)"/g)].map(([, module = ""]) => ({
      typeOnly: false,
      name: `./${path.posix.relative(path.posix.dirname(file), module)}`,
    })),
  ];
  return found.map(({ typeOnly, name }) => {
    const own = name.startsWith(".");
    const target = own ? path.posix.join(path.posix.dirname(file), name).replace(/\.js$/, ".ts") : name;
    return { file, target, own, typeOnly };
  });
}

const imports = files.flatMap(importsOf);

function layerOf(file: string): number {
  if (entries.has(file)) return layers.indexOf("entries");
  return layers.indexOf(file.includes("/") ? (file.split("/")[0] ?? "") : ".");
}

const isForNode = (file: string): boolean =>
  entries.has(file) ||
  file
    .split("/")
    .slice(0, -1)
    .some((folder) => nodeFolders.has(folder));

const show = ({ file, target }: Import): string => `${file} -> ${target}`;

test("imports were found, of every form", () => {
  assert.ok(imports.length > 500, `${imports.length} imports`);
  const known = new Set(files);
  const lost = imports.filter(({ own, target }) => own && !known.has(target)).map(show);
  assert.deepEqual(lost, []);
  assert.ok(imports.some(({ target }) => target === "mediabunny"));
  assert.ok(imports.some(({ target }) => target === "datasets/loader-worker.ts"));
});

test("every file of src belongs to a layer", () => {
  assert.deepEqual(
    files.filter((file) => layerOf(file) < 0),
    [],
  );
});

test("imports point down only", () => {
  const upward = imports.filter((i) => i.own && layerOf(i.target) > layerOf(i.file)).map(show);
  assert.deepEqual(upward, []);
});

test("no imports run in a circle", () => {
  const edges = new Map(files.map((file): [string, string[]] => [file, []]));
  for (const { file, target, own, typeOnly } of imports) if (own && !typeOnly) edges.get(file)?.push(target);
  const done = new Set<string>();
  const circles: string[] = [];
  const visit = (file: string, trail: readonly string[]): void => {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(" -> "));
    if (done.has(file)) return;
    done.add(file);
    for (const target of edges.get(file) ?? []) visit(target, [...trail, file]);
  };
  for (const file of files) visit(file, []);
  assert.deepEqual(circles, []);
});

test("files for the web do not reach Node or native packages", () => {
  const impure = imports
    .filter(
      ({ file, target, own, typeOnly }) =>
        !typeOnly &&
        !isForNode(file) &&
        (target.startsWith("node:") || nodePackages.has(target) || (own && isForNode(target))),
    )
    .map(show);
  assert.deepEqual(impure, []);
});
