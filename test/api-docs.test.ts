/** Every export is documented, and whatever a public declaration mentions can be imported too. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { type ApiEntry, entryPoints, readApi, renderApi } from "../scripts/api-docs.js";
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

/** Types that a declaration mentions, comments, strings and its own type parameters left out. */
function mentioned({ name, declaration }: ApiEntry): string[] {
  const code = declaration.replace(/\/\*[\s\S]*?\*\/|"[^"]*"/g, " ");
  const parameters = /^\w+ \w+<([^>]*)>/.exec(code)?.[1]?.split(/\W+/) ?? [];
  const inner = [...code.matchAll(/[<,[]\s*(?:const )?(\w+) (?:extends|in)\b/g)].map((m) => m[1]);
  const own = new Set([name, ...parameters, ...inner]);
  return [...code.matchAll(/(?<![.\w])[A-Z]\w*(?!\w*\??:)/g)]
    .map(([type]) => type)
    .filter((t) => !own.has(t));
}

test("public declarations mention public types only", () => {
  // The graph behind a model is not part of the library: what holds it is passed on unopened.
  const opaque = ["LoadedModel"];
  const global = new Set([...Object.getOwnPropertyNames(globalThis), ...typeScriptTypes, ...opaque]);
  for (const [entry, api] of apis) {
    const names = new Set(api.map(({ name }) => name));
    const hidden = api.flatMap((item) =>
      mentioned(item)
        .filter((type) => !names.has(type) && !global.has(type))
        .map((type) => `${item.name} mentions ${type}`),
    );
    assert.deepEqual([...new Set(hidden)], [], entry);
  }
});

const typeScriptTypes = [
  ...["Readonly", "ReadonlyMap", "ReadonlySet", "Record", "Partial", "Omit", "Pick", "Exclude", "ReturnType"],
  ...["Iterable", "AsyncIterable", "AsyncIterator", "AsyncGenerator", "Generator", "ArrayLike", "Worker"],
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
  const inference = ["loadModel", "segmentVideo", "segmentFrames", "AvsegError"];
  has("avseg", [...inference, "openTraining", "Trainer", "evaluate", "openDataset", "exportModel"]);
  has("avseg/web", inference);
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
    for (const [, names = "", from = ""] of text.matchAll(/import \{([^}]+)\} from "(avseg(?:\/web)?)"/g)) {
      const known = apis.get(from)?.map(({ name }) => name) ?? [];
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
