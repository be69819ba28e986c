/** What goes to a terminal: names from files, tables and videos are quoted in it, and must not steer it. */

/** One line without control characters (each as `\x1b`), whatever `text` quotes; its line breaks become spaces. */
export function oneLine(text: string): string {
  const [first = "", ...rest] = text.split("\n");
  const parts = [first.trimEnd(), ...rest.map((part) => part.trim())];
  const line = parts.filter((part) => part !== "").join(" ");
  return line.replace(/\p{Cc}/gu, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

/** Writes lines to stdout, each by way of `oneLine`. */
export function print(lines: string | readonly string[]): void {
  const all = typeof lines === "string" ? [lines] : lines;
  process.stdout.write(all.map((line) => `${oneLine(line)}\n`).join(""));
}

/** Writes a value to stdout as indented JSON, which has all its control characters as `\u001b`. */
export function printJson(value: unknown): void {
  writeJson(JSON.stringify(value, null, 2));
}

/** The same on one line, for programs that read a line per event. */
export function printJsonLine(value: unknown): void {
  writeJson(JSON.stringify(value));
}

function writeJson(text: string): void {
  const escaped = (c: string): string => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`;
  // JSON escapes those below the space itself; between the lines there are line breaks only.
  process.stdout.write(`${text.replace(/[\x7f-\x9f]/g, escaped)}\n`);
}
