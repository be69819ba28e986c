/** Comma-separated tables (RFC 4180), read strictly: every row has the header's columns. */
import { DatasetError } from "../errors.js";

/** One row by column name, with the line that it starts on. */
export interface TableRow {
  readonly line: number;
  readonly values: Readonly<Record<string, string>>;
}

/** A table and the file it came from. */
export interface Table {
  readonly source: string;
  readonly columns: readonly string[];
  readonly rows: readonly TableRow[];
}

/**
 * Parses a table whose first line names the columns. Empty lines are skipped; quotes may hold commas,
 * line breaks and doubled quotes. `source` names the file in messages.
 * Throws `DatasetError` for a required column that is missing or there twice, no row, a row of another length or an unclosed quote.
 */
export function parseTable(text: string, source: string, required: readonly string[]): Table {
  const [header, ...records] = parseRecords(text.replace(/^\uFEFF/, ""), source);
  const columns = header?.fields.map((field) => field.trim()) ?? [];
  const missing = required.filter((column) => !columns.includes(column));
  if (missing.length > 0) {
    const found = columns.length > 0 ? columns.join(",") : "nothing";
    throw new DatasetError(`${source}: expected the columns ${required.join(",")}, found ${found}`, {
      hint: "The first line of the table must name its columns.",
    });
  }
  const twice = required.find((column) => columns.indexOf(column) !== columns.lastIndexOf(column));
  if (twice !== undefined) {
    throw new DatasetError(`${source}: expected one column ${twice}, found several`, {
      hint: "Rename or remove one of them.",
    });
  }
  if (records.length === 0) {
    throw new DatasetError(`${source}: expected a row per clip, found none`, { hint: "Add the clips." });
  }
  const rows = records.map(({ line, fields }) => {
    if (fields.length !== columns.length) {
      throw new DatasetError(
        `${source} line ${line}: expected ${columns.length} fields, found ${fields.length}`,
        { hint: "Correct the row; put a field that contains a comma in double quotes." },
      );
    }
    return {
      line,
      values: Object.fromEntries(columns.map((column, i) => [column, fields[i]?.trim() ?? ""])),
    };
  });
  return { source, columns, rows };
}

/** Writes a table; fields are quoted where they must be. */
export function formatTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\n`).join("");
}

function parseRecords(text: string, source: string): { line: number; fields: string[] }[] {
  const records: { line: number; fields: string[] }[] = [];
  // A field, quoted or plain, and what ends it.
  const pattern = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/gy;
  let line = 1;
  let fields: string[] = [];
  let start = 1;
  while (pattern.lastIndex < text.length || fields.length > 0) {
    const at = pattern.lastIndex;
    const match = pattern.exec(text);
    if (match === null) {
      const what = text[at] === '"' ? "a quote that is never closed" : "a quote inside a field";
      throw new DatasetError(`${source} line ${line}: ${what}`, {
        hint: "Put the whole field in double quotes and double the quotes inside it.",
      });
    }
    const [whole, quoted, plain = "", end] = match;
    if (fields.length === 0) start = line;
    fields.push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
    line += whole.split(/\r\n|\n|\r/).length - 1;
    if (end === ",") continue;
    if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
    fields = [];
  }
  return records;
}
