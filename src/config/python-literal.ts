/**
 * Reads the subset of Python that published configurations use: lines of `name = literal`, where a literal is
 * a number, string, `True`, `False`, `None`, list, tuple, `{...}` or `dict(key=...)`. Nothing is executed.
 * Anything else (calls, names, operators, imports) is refused with its line.
 */
import { ConfigError } from "../errors.js";

/** A literal with the line on which it starts. Dictionaries are entries in order of appearance. */
export type PythonNode =
  | { readonly kind: "scalar"; readonly line: number; readonly value: string | number | boolean | null }
  | { readonly kind: "list"; readonly line: number; readonly items: readonly PythonNode[] }
  | { readonly kind: "dict"; readonly line: number; readonly entries: ReadonlyMap<string, PythonNode> };

interface Token {
  readonly type: "name" | "number" | "string" | "symbol" | "newline" | "end";
  readonly text: string;
  readonly line: number;
}

const maxDepth = 50;
const maxCharacters = 1_000_000;

/** Parses a file of assignments into one dictionary; `file` names it in `ConfigError`s. */
export function parsePythonLiterals(text: string, file: string): Extract<PythonNode, { kind: "dict" }> {
  if (text.length > maxCharacters) {
    throw new ConfigError(`${file}: ${text.length} characters, expected a configuration of 1 MB at most`);
  }
  const parser = new Parser(tokenize(text, file), file);
  return { kind: "dict", line: 1, entries: parser.assignments() };
}

class Parser {
  readonly #tokens: readonly Token[];
  readonly #file: string;
  #at = 0;
  #depth = 0;

  constructor(tokens: readonly Token[], file: string) {
    this.#tokens = tokens;
    this.#file = file;
  }

  assignments(): Map<string, PythonNode> {
    const out = new Map<string, PythonNode>();
    for (;;) {
      while (this.#accept("newline"));
      const token = this.#next();
      if (token.type === "end") return out;
      if (token.type === "string" && this.#peek().type !== "symbol") continue; // a docstring
      if (token.type !== "name" || !this.#accept("symbol", "=")) {
        throw this.#refuse(token, "expected NAME = VALUE");
      }
      out.set(token.text, this.#value());
      const after = this.#peek();
      if (after.type !== "end" && !this.#accept("newline")) {
        throw this.#refuse(after, "expected the end of the line");
      }
    }
  }

  #value(): PythonNode {
    const token = this.#next();
    const { line } = token;
    if (++this.#depth > maxDepth) throw this.#refuse(token, `nested deeper than ${maxDepth} levels`);
    try {
      switch (token.type) {
        case "string": {
          let value = token.text;
          while (this.#peek().type === "string") value += this.#next().text;
          return { kind: "scalar", line, value };
        }
        case "number":
          return { kind: "scalar", line, value: numberOf(token.text) };
        case "name":
          return this.#named(token);
        case "symbol":
          return this.#symbol(token);
        default:
          throw this.#refuse(token, "expected a value");
      }
    } finally {
      this.#depth--;
    }
  }

  #named(token: Token): PythonNode {
    const constants = new Map([
      ["True", true],
      ["False", false],
      ["None", null],
    ]);
    const { line } = token;
    const value = constants.get(token.text);
    if (value !== undefined) return { kind: "scalar", line, value };
    if (token.text !== "dict" || !this.#accept("symbol", "(")) {
      throw this.#refuse(token, "expected a literal or dict(...)");
    }
    const entries = new Map<string, PythonNode>();
    while (!this.#accept("symbol", ")")) {
      const key = this.#next();
      if (key.type !== "name" || !this.#accept("symbol", "=")) {
        throw this.#refuse(key, "expected key=value inside dict(...)");
      }
      this.#add(entries, key.text, key);
      this.#separator(")");
    }
    return { kind: "dict", line, entries };
  }

  #symbol(token: Token): PythonNode {
    const { line } = token;
    if (token.text === "-" || token.text === "+") {
      const number = this.#next();
      if (number.type !== "number") throw this.#refuse(number, `expected a number after ${token.text}`);
      const value = numberOf(number.text);
      return { kind: "scalar", line, value: token.text === "-" ? -value : value };
    }
    if (token.text === "[" || token.text === "(") {
      const close = token.text === "[" ? "]" : ")";
      const items: PythonNode[] = [];
      let commas = 0;
      while (!this.#accept("symbol", close)) {
        items.push(this.#value());
        if (this.#separator(close)) commas++;
      }
      // `(5)` is 5; `(5,)` is a tuple.
      const [only] = items;
      return close === ")" && only && items.length === 1 && commas === 0
        ? only
        : { kind: "list", line, items };
    }
    if (token.text === "{") {
      const entries = new Map<string, PythonNode>();
      while (!this.#accept("symbol", "}")) {
        const key = this.#next();
        if (key.type !== "string" || !this.#accept("symbol", ":")) {
          throw this.#refuse(key, 'expected "key": value inside {...}');
        }
        this.#add(entries, key.text, key);
        this.#separator("}");
      }
      return { kind: "dict", line, entries };
    }
    throw this.#refuse(token, "expected a value");
  }

  #add(entries: Map<string, PythonNode>, key: string, token: Token): void {
    if (entries.has(key)) throw this.#refuse(token, "expected each key once");
    entries.set(key, this.#value());
  }

  /** A comma, or nothing before `close`; true for a comma. */
  #separator(close: string): boolean {
    if (this.#accept("symbol", ",")) return true;
    const token = this.#peek();
    if (token.type !== "symbol" || token.text !== close) throw this.#refuse(token, `expected , or ${close}`);
    return false;
  }

  #peek(): Token {
    return this.#tokens[this.#at] ?? { type: "end", text: "", line: 1 };
  }

  #next(): Token {
    const token = this.#peek();
    this.#at++;
    return token;
  }

  #accept(type: Token["type"], text?: string): boolean {
    const token = this.#peek();
    if (token.type !== type || (text !== undefined && token.text !== text)) return false;
    this.#at++;
    return true;
  }

  #refuse(token: Token, expected: string): ConfigError {
    const found =
      token.type === "end" ? "the end of the file" : token.type === "newline" ? "a new line" : token.text;
    return new ConfigError(`${this.#file} line ${token.line}: ${expected}, found ${found.slice(0, 40)}`, {
      hint: "Only lines of NAME = literal are read from Python configurations; nothing is executed.",
    });
  }
}

/** The longest text that starts like a number. It is consumed as a whole, so that no character is read twice. */
const numericPattern = /\.?\d(?:[eE][+-]|[\w.])*/y;
const number = /^(?:0[xX][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)$/;
const namePattern = /[\p{L}_][\p{L}\p{N}_]*/uy;
const stringPattern = /([rRuU]?)("""|'''|"|')/y;

function numberOf(text: string): number {
  return Number(text.replaceAll("_", ""));
}

function tokenize(text: string, file: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let line = 1;
  let brackets = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at;
    return pattern.exec(text);
  };
  while (at < text.length) {
    const c = text[at] ?? "";
    if (c === "\n") {
      if (brackets === 0) tokens.push({ type: "newline", text: "\n", line });
      line++;
      at++;
      continue;
    }
    if (c === " " || c === "\t" || c === "\r" || c === "\f" || c === "\ufeff") {
      at++;
      continue;
    }
    if (c === "\\" && /^\\\r?\n/.test(text.slice(at, at + 3))) {
      at = text.indexOf("\n", at) + 1;
      line++;
      continue;
    }
    if (c === "#") {
      const end = text.indexOf("\n", at);
      at = end < 0 ? text.length : end;
      continue;
    }
    const quote = match(stringPattern);
    if (quote) {
      const { value, end } = readString(text, quote, { start: at, where: `${file} line ${line}` });
      tokens.push({ type: "string", text: value, line });
      line += text.slice(at, end).split("\n").length - 1;
      at = end;
      continue;
    }
    const [numeric] = match(numericPattern) ?? [];
    if (numeric !== undefined) {
      tokens.push({ type: number.test(numeric) ? "number" : "symbol", text: numeric, line });
      at += numeric.length;
      continue;
    }
    const [name] = match(namePattern) ?? [];
    if (name !== undefined) {
      tokens.push({ type: "name", text: name, line });
      at += name.length;
      continue;
    }
    if ("([{".includes(c)) brackets++;
    if (")]}".includes(c)) brackets = Math.max(0, brackets - 1);
    tokens.push({ type: "symbol", text: c, line });
    at++;
  }
  tokens.push({ type: "end", text: "", line });
  return tokens;
}

const escapes: Readonly<Record<string, string>> = {
  n: "\n",
  t: "\t",
  r: "\r",
  "\\": "\\",
  "'": "'",
  '"': '"',
  "\n": "",
};

function readString(
  text: string,
  opening: RegExpExecArray,
  { start, where }: { start: number; where: string },
) {
  const [whole, prefix = "", quote = '"'] = opening;
  const raw = prefix.toLowerCase() === "r";
  let at = start + whole.length;
  let value = "";
  while (!text.startsWith(quote, at)) {
    const c = text[at];
    if (c === undefined || (c === "\n" && quote.length === 1)) {
      throw new ConfigError(`${where}: the string is not closed`);
    }
    if (c === "\\" && !raw) {
      const escaped = text[at + 1] ?? "";
      value += escapes[escaped] ?? `\\${escaped}`;
      at += 2;
    } else {
      value += c;
      at++;
    }
  }
  return { value, end: at + quote.length };
}
