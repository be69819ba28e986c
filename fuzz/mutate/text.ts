/** Mutations of text formats: CSV, YAML, JSON, Python literals. */
import type { Random } from "../../src/random.js";
import { joined, type Mutation, maxBytes, mutateBytes } from "./bytes.js";

/** Text that has meaning in some format, or in none. */
const fragments: readonly string[] = [
  ...[
    "0",
    "-1",
    "1e999",
    "-1e-999",
    "NaN",
    "Infinity",
    ".inf",
    "0x10",
    "1_000",
    "9007199254740993",
    "1e400",
    "00",
  ],
  ...[
    "null",
    "~",
    "true",
    "None",
    "undefined",
    "[]",
    "{}",
    "()",
    "''",
    '""',
    "__proto__",
    "constructor",
    "toString",
  ],
  ...[
    '"',
    "'",
    '"""',
    "\\",
    "\\u0000",
    "\\ud800",
    "\0",
    "\r",
    "\r\n",
    "\n\n",
    "\t",
    "\ufeff",
    "\u2028",
    "é",
    "𝔘",
  ],
  ...[
    ",",
    ",,,,",
    ":",
    ": ",
    "- ",
    "#",
    "=",
    "*a",
    "&a ",
    "<<: *a",
    "!!binary ",
    "!!js/function ",
    "|",
    ">",
    "? ",
    "---\n",
  ],
  ...[
    "../",
    "/etc/passwd",
    "..\\",
    "a/b",
    ".",
    "..",
    "C:\\x",
    "con",
    "$x",
    "%s",
    "lambda: 0",
    "dict(",
    "f(x)",
  ],
];

/** Openings that nest, each with its closing. */
const brackets: readonly (readonly [string, string])[] = [
  ["[", "]"],
  ["{", "}"],
  ["(", ")"],
  ['{"a":', "}"],
  ["[[", "]]"],
  ["dict(a=", ")"],
  ["-", ""],
  ["- ", ""],
  ["&a [*a,", "]"],
];

type TextMutation = (text: string, random: Random) => string;

const insert: TextMutation = (text, random) => {
  const at = random.integer(text.length + 1);
  return text.slice(0, at) + random.pick(fragments) + text.slice(at);
};

/** Replaces one match of a pattern. */
function replaced(text: string, pattern: RegExp, random: Random, by: (match: string) => string): string {
  const matches = [...text.matchAll(pattern)];
  if (matches.length === 0) return text;
  const { index, 0: match } = random.pick(matches);
  return text.slice(0, index) + by(match) + text.slice(index + match.length);
}

const number: TextMutation = (text, random) =>
  replaced(text, /-?\d+(\.\d+)?/g, random, (found) =>
    random.pick([
      "0",
      "-1",
      "1e9",
      "4294967296",
      "9".repeat(400),
      "0.5",
      `-${found}`,
      `${found}0`,
      "1e308",
      "NaN",
    ]),
  );

const word: TextMutation = (text, random) =>
  replaced(text, /[A-Za-z_]+/g, random, () => random.pick(fragments));

const lines: TextMutation = (text, random) => {
  const all = text.split("\n");
  const at = random.integer(all.length);
  const line = all[at] ?? "";
  const other = all[random.integer(all.length)] ?? "";
  const many = Array<string>(Math.min(2000, Math.ceil(maxBytes / (line.length + 1)))).fill(line);
  const changed = random.pick([[], [line, line], [other], [`  ${line}`], [line.trimStart()], many]);
  return [...all.slice(0, at), ...changed, ...all.slice(at + 1)].join("\n");
};

const nest: TextMutation = (text, random) => {
  const [open, close] = random.pick(brackets);
  const depth = random.pick([2, 20, 1000, 50_000]);
  const at = random.integer(text.length + 1);
  const closing = random.integer(2) === 0 ? close.repeat(depth) : "";
  return text.slice(0, at) + open.repeat(depth) + closing + text.slice(at);
};

const longToken: TextMutation = (text, random) =>
  replaced(text, /[\w.]+/g, random, (found) => {
    const times = random.pick([100, 10_000, 100_000]);
    return found.repeat(Math.min(times, Math.ceil(maxBytes / found.length)));
  });

const kinds: readonly TextMutation[] = [insert, insert, number, number, word, lines, lines, nest, longToken];

/** Changes of text; one in four of bytes, which also makes invalid UTF-8. */
export const mutateText: Mutation = (input, random, other) => {
  if (random.integer(4) === 0) return mutateBytes(input, random, other);
  let text = Buffer.from(input).toString("utf8");
  for (let count = random.pick([1, 1, 2, 4]); count > 0 && text.length < maxBytes; count--) {
    text = random.pick(kinds)(text, random);
  }
  return joined(Buffer.from(text));
};
