/**
 * Part of `npm run build`: the reference of every entry of the package as Markdown, from the declarations that the
 * compiler emits. (TypeDoc needs the programming interface of TypeScript 5 or 6, which TypeScript 7 does not have.) Fails on
 * an export without a docstring.
 */
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** One exported name. */
export interface ApiEntry {
  readonly name: string;
  /** Text of its docstring, without the comment's frame; empty where it has none. */
  readonly doc: string;
  /** Its declaration, as the compiler emits it. */
  readonly declaration: string;
  /** The declaration file below `src`: its folder is the part of the library. */
  readonly file: string;
}

interface Origin {
  readonly file: string;
  readonly local: string;
}

/** Where each name that a declaration file exports is declared; re-exports are followed, namespaces give `ns.name`. */
function exportsOf(file: string): Map<string, Origin> {
  const text = readFileSync(file, "utf8");
  const found = new Map<string, Origin>();
  for (const [, name] of text.matchAll(declarations)) if (name) found.set(name, { file, local: name });
  for (const [, names, namespace, from] of text.matchAll(
    /^export (?:type )?(?:\{([^}]*)\}|\*(?: as (\w+))?) from "(\.[^"]+)";/gms,
  )) {
    const target = path.join(path.dirname(file), (from ?? "").replace(/\.js$/, ".d.ts"));
    const inner = exportsOf(target);
    if (names === undefined) {
      for (const [name, origin] of inner) found.set(namespace ? `${namespace}.${name}` : name, origin);
    }
    for (const part of (names ?? "").split(",")) {
      const [, local, alias] = /^\s*(?:type\s+)?(\w+)(?:\s+as\s+(\w+))?\s*$/.exec(part) ?? [];
      if (local === undefined) continue;
      const origin = inner.get(local);
      if (origin === undefined) throw new Error(`${file}: ${local} is not exported by ${target}`);
      found.set(alias ?? local, origin);
    }
  }
  return found;
}

const declarations =
  /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|let|class|interface|type|enum) (\w+)/gm;

/** The end of the declaration that begins at `start`: its semicolon, or the brace that closes its body. */
function endOf(text: string, start: number): number {
  const hasBody = /^export (?:declare )?(?:abstract )?(?:class|interface|enum)/.test(text.slice(start));
  let depth = 0;
  // Comments and strings are skipped: brackets in them are not structure.
  const token = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|[()[\]{};]/g;
  token.lastIndex = start;
  for (let match = token.exec(text); match; match = token.exec(text)) {
    const [mark] = match;
    if (/^[([{]$/.test(mark)) depth++;
    else if (/^[)\]}]$/.test(mark)) depth--;
    if (depth === 0 && mark === (hasBody ? "}" : ";")) return match.index + 1;
  }
  throw new Error(`no end of the declaration ${text.slice(start, start + 60)}`);
}

/** The text of the docstring that ends right before `start`. */
function docBefore(text: string, start: number): string {
  const before = text.slice(0, start).trimEnd();
  const open = before.lastIndexOf("/**");
  if (!before.endsWith("*/") || open < 0 || before.indexOf("*/", open) !== before.length - 2) return "";
  return before
    .slice(open + 3, -2)
    .replace(/^[ \t]*\* ?/gm, "")
    .trim();
}

/** Everything that a declaration file exports, in the order of the names; `sources` is the folder of all of them. */
export function readApi(entry: string, sources: string): ApiEntry[] {
  const origins = [...exportsOf(entry)];
  // A name that is exported under another one: others mention it by that. Of a namespace, only types are mentioned.
  const names = new Set(origins.map(([name]) => name));
  const renamed = origins.filter(
    ([name, { local }]) => !names.has(local) && (!name.includes(".") || /^[A-Z]/.test(local)),
  );
  const found = origins.map(([name, { file, local }]): ApiEntry => {
    const text = readFileSync(file, "utf8");
    const match = [...text.matchAll(declarations)].find((m) => m[1] === local);
    if (match === undefined) throw new Error(`${file}: no declaration of ${local}`);
    let declaration = text.slice(match.index, endOf(text, match.index)).replace(/^export (declare )?/, "");
    const own = name.includes(".") ? [] : [[name, { local }] as const];
    for (const [publicName, origin] of [...renamed, ...own]) {
      declaration = declaration.replaceAll(new RegExp(`\\b${origin.local}\\b`, "g"), publicName);
    }
    return {
      name,
      doc: docBefore(text, match.index),
      declaration,
      file: path.relative(sources, file),
    };
  });
  return found.sort((a, b) => a.name.localeCompare(b.name, "en"));
}

/** Types that a declaration mentions; comments, strings and its own type parameters are left out. */
export function mentionedTypes({ name, declaration }: ApiEntry): string[] {
  const code = declaration.replace(/\/\*[\s\S]*?\*\/|"[^"]*"/g, " ");
  const parameters = /^\w+ \w+<([^>]*)>/.exec(code)?.[1]?.split(/\W+/) ?? [];
  const inner = [...code.matchAll(/[<,[]\s*(?:const )?(\w+) (?:extends|in)\b|\w<(\w+)>\(/g)].flatMap((m) =>
    m.slice(1),
  );
  const own = new Set([name, ...parameters, ...inner]);
  const types = [...code.matchAll(/(?<![.\w])[A-Z]\w*(?!\w*\??:)/g)].map(([type]) => type);
  return [...new Set(types)].filter((type) => !own.has(type));
}

/**
 * The types that public declarations mention without being exported by the entry, and those that these mention. They
 * are documented, but cannot be imported.
 */
export function supportingTypes(entries: readonly ApiEntry[], sources: string): ApiEntry[] {
  const known = new Set(entries.map(({ name }) => name));
  const found: ApiEntry[] = [];
  const pending = [...entries];
  for (let entry = pending.pop(); entry; entry = pending.pop()) {
    for (const name of mentionedTypes(entry)) {
      if (known.has(name)) continue;
      const file = declaringFile(path.join(sources, entry.file), name);
      if (file === undefined) continue; // a type of the platform or of a package
      known.add(name);
      const type = readApi(file, sources).find((candidate) => candidate.name === name);
      if (type === undefined) continue;
      found.push(type);
      pending.push(type);
    }
  }
  return found.sort((a, b) => a.name.localeCompare(b.name, "en"));
}

/** The declaration file in which `name`, as mentioned in `file`, is declared and exported. */
function declaringFile(file: string, name: string): string | undefined {
  const text = readFileSync(file, "utf8");
  if ([...text.matchAll(declarations)].some((m) => m[1] === name)) return file;
  for (const [, names = "", from = ""] of text.matchAll(
    /^import (?:type )?\{([^}]*)\} from "(\.[^"]+)";/gms,
  )) {
    if (!names.split(",").some((part) => part.trim().replace(/^type /, "") === name)) continue;
    const target = path.join(path.dirname(file), from.replace(/\.js$/, ".d.ts"));
    return exportsOf(target).get(name)?.file;
  }
  return undefined;
}

/** Headings of the parts of the library, by source folder, in the order in which they are shown. */
const parts: Readonly<Record<string, string>> = {
  segment: "Segmentation",
  web: "In the browser",
  models: "Models",
  inference: "Predictors",
  runtime: "Runtime",
  training: "Training",
  config: "Configurations",
  datasets: "Datasets",
  evaluation: "Evaluation and metrics",
  report: "Evaluation with its files",
  export: "Export",
  weights: "Weight files",
  media: "Pictures and sound",
  graph: "Graphs",
  nn: "Layers",
  optim: "Optimizers",
  ".": "Tensors and errors",
};

function partOf({ file }: ApiEntry): string {
  const folder = path.dirname(file).split(path.sep)[0] ?? ".";
  return folder in parts ? folder : ".";
}

/** The reference as Markdown; `intro` is the entry's own docstring. */
export function renderApi(
  title: string,
  intro: string,
  entries: readonly ApiEntry[],
  supporting: readonly ApiEntry[] = [],
): string {
  const lines = [`# ${title}`, "", intro.replace(/\n?@module.*/, "").trim()];
  for (const [folder, heading] of Object.entries(parts)) {
    const own = entries.filter((entry) => partOf(entry) === folder);
    if (own.length === 0) continue;
    lines.push("", `## ${heading}`);
    for (const { name, doc, declaration } of own) {
      lines.push("", `### ${name}`, "", doc, "", "```ts", declaration, "```");
    }
  }
  if (supporting.length > 0) {
    lines.push("", "## Types that these mention", "", "They cannot be imported by name.");
    for (const { name, doc, declaration } of supporting) {
      lines.push("", `### ${name}`, "", doc, "", "```ts", declaration, "```");
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The declaration files of the entry points, below `dist/src`, by the name that they are imported by. */
export const entryPoints: ReadonlyMap<string, string> = new Map([
  ["avseg", "index.d.ts"],
  ["avseg/web", path.join("web", "index.d.ts")],
  ["avseg/engine", path.join("engine", "node", "index.d.ts")],
  ["avseg/engine/web", path.join("engine", "web", "index.d.ts")],
]);

async function main(): Promise<void> {
  const root = path.resolve(import.meta.dirname, "..", "..");
  const sources = path.join(root, "dist", "src");
  const out = path.join(root, "docs", "api");
  await mkdir(out, { recursive: true });
  for (const [name, entry] of entryPoints) {
    const entries = readApi(path.join(sources, entry), sources);
    const bare = entries.filter(({ doc }) => doc === "");
    if (bare.length > 0) {
      console.error(`${name}: no docstring: ${bare.map((e) => `${e.name} (${e.file})`).join(", ")}`);
      process.exitCode = 1;
    }
    const source = readFileSync(path.join(root, "src", entry.replace(/\.d\.ts$/, ".ts")), "utf8");
    const intro = docBefore(source, source.indexOf("*/") + 2);
    const file = path.join(out, `${name.replaceAll("/", "-")}.md`);
    await writeFile(file, renderApi(name, intro, entries, supportingTypes(entries, sources)));
    console.log(`${path.relative(root, file)}: ${entries.length} exports`);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
