/** Every export is documented, and so is whatever a public declaration mentions. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { entryPoints, mentionedTypes, readApi, renderApi, supportingTypes } from "../scripts/api-docs.js";
import { root } from "./support.js";

const sources = path.join(root, "dist", "src");
const apis = new Map(
  [...entryPoints].map(([name, entry]) => [name, readApi(path.join(sources, entry), sources)]),
);

test("every export of every source file has a docstring", () => {
  const files = readdirSync(sources, { recursive: true, encoding: "utf8" }).filter(
    (name) => name.endsWith(".d.ts") && !name.endsWith(".test.d.ts"),
  );
  assert.ok(files.length > 100, `${files.length} files`);
  const entries = files.flatMap((name) => readApi(path.join(sources, name), sources));
  const bare = entries.filter(({ doc }) => doc === "").map(({ name, file }) => `${file}: ${name}`);
  assert.deepEqual([...new Set(bare)], []);
});

test("whatever a public declaration mentions is documented", () => {
  const global = new Set([...Object.getOwnPropertyNames(globalThis), ...typeScriptTypes]);
  for (const [entry, api] of apis) {
    const names = new Set([...api, ...supportingTypes(api, sources)].map(({ name }) => name));
    const hidden = api.flatMap((item) =>
      mentionedTypes(item)
        .filter((type) => !names.has(type) && !global.has(type))
        .map((type) => `${item.name} mentions ${type}`),
    );
    assert.deepEqual(hidden, [], entry);
  }
});

test("the library is small: about sixty names to learn", () => {
  for (const [entry, api] of apis) {
    const names = api.filter(({ name }) => !name.includes(".")); // those of a namespace are learned as needed
    assert.ok(names.length <= 100, `${entry} exports ${names.length} names`);
  }
});

const typeScriptTypes = [
  ...["Readonly", "ReadonlyMap", "ReadonlySet", "Record", "Partial", "Omit", "Pick", "Exclude", "ReturnType"],
  ...[
    "Iterable",
    "AsyncIterable",
    "AsyncIterator",
    "AsyncGenerator",
    "AsyncDisposable",
    "Generator",
    "ArrayLike",
    "Worker",
    "ImageData",
  ],
];

test("the library is what its guides say", () => {
  const has = (entry: string, names: readonly string[]) => {
    const own = apis.get(entry)?.map(({ name }) => name) ?? [];
    assert.deepEqual(
      names.filter((name) => !own.includes(name)),
      [],
      entry,
    );
  };
  const inference = ["openModel", "segmentVideo", "segmentFrames", "AvsegError"];
  has("avseg", [...inference, "openTraining", "evaluate", "openDataset", "exportModel"]);
  has("avseg/web", inference);
  const graphs = [
    "input",
    "parameter",
    "ops.conv2d",
    "nn.linear",
    "defineOp",
    "gradients",
    "emitOnnx",
    "Scope",
  ];
  has("avseg/engine", [...graphs, "nodeRuntime"]);
  has("avseg/engine/web", [...graphs, "webRuntime"]);
  const text = renderApi("avseg", "About.", apis.get("avseg") ?? []);
  assert.match(
    text,
    /### segmentVideo\n\nSegments a video file .*[\s\S]*?```ts\nfunction segmentVideo\(file: string/,
  );
});

test("what the pages import exists, and so do the files they link to", () => {
  const pages = ["docs", "examples"].flatMap((folder) =>
    readdirSync(path.join(root, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => /\.(md|mjs|js)$/.test(name) && !name.startsWith("api"))
      .map((name) => path.join(folder, name)),
  );
  const wrong: string[] = [];
  for (const page of [...pages, "README.md"].filter((name) => existsSync(path.join(root, name)))) {
    const text = readFileSync(path.join(root, page), "utf8");
    for (const [, names = "", from = ""] of text.matchAll(
      /import \{([^}]+)\} from "(avseg(?:\/[\w/]+)?)"/g,
    )) {
      const known = apis.get(from)?.map(({ name }) => name.split(".")[0]) ?? [];
      for (const name of names.split(",").map((n) => n.trim())) {
        if (name !== "" && !known.includes(name)) wrong.push(`${page}: ${from} has no ${name}`);
      }
    }
    if (!page.endsWith(".md")) continue;
    for (const [, target = ""] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
      if (!existsSync(path.join(root, path.dirname(page), target))) wrong.push(`${page}: no ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});
