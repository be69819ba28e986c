/** YAML configurations, and `--set key=value`. */
import { isNode, LineCounter, parse, parseDocument } from "yaml";
import { ConfigError } from "../errors.js";
import type { KeyPath, Source } from "./validate.js";

/** Parses YAML text. `file` names it in messages. Throws `ConfigError` with the line of a syntax error. */
export function parseYamlConfig(text: string, file: string): Source {
  const lines = new LineCounter();
  const fail = (what: string, at?: number) => {
    const where = at === undefined ? file : `${file} line ${lines.linePos(at).line}`;
    return new ConfigError(`${what} (${where})`, {
      hint: "Give a YAML configuration like config/s4/pvt2.yaml, or a published one whose name ends in .py.",
    });
  };
  const document = parsed(text, lines);
  if (document === undefined) throw fail("nested too deeply");
  const problem = document.errors[0];
  if (problem) {
    const [message = ""] = problem.message.split("\n");
    const what = /call stack/i.test(message) ? "nested too deeply" : message.replace(/ at line \d+.*/, "");
    throw fail(what, problem.pos[0]);
  }
  return {
    value: toPlain(document, file),
    where(path) {
      // The nearest key in the file: a missing key is reported at its section.
      for (let depth = path.length; depth > 0; depth--) {
        const node = document.getIn(path.slice(0, depth), true);
        if (isNode(node) && node.range) return `${file} line ${lines.linePos(node.range[0]).line}`;
      }
      return file;
    },
  };
}

/** The document with its errors; `undefined` where the parser, which recurses, runs out of stack. */
function parsed(text: string, lineCounter: LineCounter): ReturnType<typeof parseDocument> | undefined {
  try {
    return parseDocument(text, { lineCounter, logLevel: "error" });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function toPlain(document: ReturnType<typeof parseDocument>, file: string): unknown {
  let value: unknown;
  try {
    value = document.toJS() ?? {};
  } catch (cause) {
    // Aliases that expand exponentially ("billion laughs").
    throw new ConfigError(`${file}: ${cause instanceof Error ? cause.message : "cannot be read"}`, { cause });
  }
  const text = jsonOf(value, file);
  if (typeof value === "object" && !Array.isArray(value)) return value;
  const found = Array.isArray(value) ? "a list" : text.slice(0, 40);
  throw new ConfigError(`${file}: expected lines of key: value, found ${found}`);
}

/** A value as JSON. Throws `ConfigError` for one that contains itself. */
function jsonOf(value: unknown, where: string): string {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    throw new ConfigError(`${where}: an alias refers to a value that contains it`, { cause });
  }
}

/**
 * Applies `key.path=value` assignments to a source. Values are parsed as YAML: `a=[1, 2]` is a list and `a=null` is
 * null. Throws `ConfigError` for an assignment without `=`.
 */
export function withAssignments(source: Source, assignments: readonly string[]): Source {
  let value = source.value;
  const origins = new Map<string, string>();
  for (const assignment of assignments) {
    const at = assignment.indexOf("=");
    const path = assignment.slice(0, Math.max(0, at)).trim().split(".");
    if (at < 0 || path.some((part) => part === "")) {
      throw new ConfigError(`--set ${assignment}: expected KEY=VALUE, e.g. training.epochs=10`);
    }
    value = withValue(value, path, parseScalar(assignment.slice(at + 1), assignment));
    origins.set(path.join("."), `--set ${assignment}`);
  }
  return {
    value,
    where(path: KeyPath) {
      for (let depth = path.length; depth > 0; depth--) {
        const origin = origins.get(path.slice(0, depth).join("."));
        if (origin) return origin;
      }
      return source.where(path);
    },
  };
}

function parseScalar(text: string, assignment: string): unknown {
  let value: unknown;
  try {
    value = parse(text, { logLevel: "error" });
  } catch (cause) {
    throw new ConfigError(`--set ${assignment}: the value is not valid YAML`, { cause });
  }
  jsonOf(value, `--set ${assignment}`);
  return value;
}

function withValue(base: unknown, path: readonly string[], leaf: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return leaf;
  const section: Map<string, unknown> =
    typeof base === "object" && base !== null && !Array.isArray(base)
      ? new Map(Object.entries(base))
      : new Map();
  section.set(key, withValue(section.get(key), rest, leaf));
  return Object.fromEntries(section);
}
