/** Comma-separated tables (RFC 4180), read strictly: every row has the columns of the header. */
import { DatasetError } from "../../errors.js";

/** One row by column name, with its first line. */
export interface TableRow {
  readonly line: number;
  readonly values: Readonly<Record<string, string>>;
}

/** A table and its file. */
export interface Table {
  readonly source: string;
  readonly columns: readonly string[];
  readonly rows: readonly TableRow[];
}

/** What `parseTable` expects. */
export interface TableOptions {
  /** Names the file in messages. */
  readonly source: string;
  /** Columns that the table must have. */
  readonly required: readonly string[];
  /** Receives an error for each row that is omitted. Default: it is thrown. */
  readonly onFault?: ((fault: DatasetError) => void) | undefined;
}

/**
 * Parses a table whose first line names the columns. Empty lines are skipped; quoted fields may contain commas,
 * line breaks and doubled quotes. Throws `DatasetError` for a required column that is missing or repeated, and for a
 * table without rows. A row with a wrong number of fields or a misplaced quote is omitted.
 */
export function parseTable(text: string, { source, required, onFault = raise }: TableOptions): Table {
  const [header, ...records] = parseRecords(text.replace(/^\uFEFF/, ""));
  if (header?.wrongQuote !== undefined) throw quoteError(source, header.line, header.wrongQuote);
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
      hint: "Rename or remove all but one of them.",
    });
  }
  if (records.length === 0) {
    throw new DatasetError(`${source}: expected a row per clip, found none`, { hint: "Add the clips." });
  }
  const rows: TableRow[] = [];
  for (const { line, fields, wrongQuote } of records) {
    if (wrongQuote !== undefined) onFault(quoteError(source, line, wrongQuote));
    else if (fields.length !== columns.length)
      onFault(lengthError(`${source} line ${line}`, columns.length, fields.length));
    else {
      const values = Object.fromEntries(columns.map((column, i) => [column, fields[i]?.trim() ?? ""]));
      rows.push({ line, values });
    }
  }
  return { source, columns, rows };
}

function raise(fault: DatasetError): never {
  throw fault;
}

function quoteError(source: string, line: number, what: string): DatasetError {
  return new DatasetError(`${source} line ${line}: ${what}`, {
    hint: "Put the whole field in double quotes and double the quotes inside it.",
  });
}

function lengthError(where: string, expected: number, found: number): DatasetError {
  return new DatasetError(`${where}: expected ${expected} fields, found ${found}`, {
    hint: "Correct the row; put a field that contains a comma in double quotes.",
  });
}

/** Writes a table; fields are quoted where necessary. */
export function formatTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [columns, ...rows].map((row) => `${row.map(field).join(",")}\n`).join("");
}

interface TableRecord {
  /** The first line of the record, or the line of a misplaced quote. */
  readonly line: number;
  readonly fields: readonly string[];
  /** What is wrong with a quote, if anything; `fields` are then those before it. */
  readonly wrongQuote?: string | undefined;
}

/** All records but empty ones. After a misplaced quote, parsing continues at the next line. */
function parseRecords(text: string): TableRecord[] {
  const records: TableRecord[] = [];
  let at = 0;
  let line = 1;
  while (at < text.length) {
    const start = line;
    const fields: string[] = [];
    let wrongQuote: string | undefined;
    do {
      if (fields.length > 0) at++; // the comma
      const field = fieldAt(text, at);
      at = field?.end ?? text.length;
      line += field?.lineBreaks ?? 0;
      if (field === undefined) wrongQuote = "a quote that is never closed";
      else fields.push(field.value);
    } while (text[at] === ",");
    if (at < text.length && text[at] !== "\r" && text[at] !== "\n") {
      wrongQuote = "a quote inside a field";
      at = endOf(lineEnd, text, at);
    }
    if (wrongQuote !== undefined) records.push({ line, fields, wrongQuote });
    else if (fields.length > 1 || fields[0] !== "") records.push({ line: start, fields });
    at += text.startsWith("\r\n", at) ? 2 : 1;
    line++;
  }
  return records;
}

const plainEnd = /[",\r\n]|$/g;
const lineEnd = /[\r\n]|$/g;

/** The position of the first match of `end` from `at` on; `end` also matches the end of the text. */
function endOf(end: RegExp, text: string, at: number): number {
  end.lastIndex = at;
  return end.exec(text)?.index ?? text.length;
}

/** The field at `at`, quoted or plain, and its end; `undefined` for a quote that is never closed. */
function fieldAt(text: string, at: number): { value: string; end: number; lineBreaks: number } | undefined {
  if (text[at] !== '"') {
    const end = endOf(plainEnd, text, at);
    return { value: text.slice(at, end), end, lineBreaks: 0 };
  }
  let quote = text.indexOf('"', at + 1);
  while (quote >= 0 && text[quote + 1] === '"') quote = text.indexOf('"', quote + 2);
  if (quote < 0) return undefined;
  const quoted = text.slice(at + 1, quote);
  let lineBreaks = 0;
  for (const _ of quoted.matchAll(/\r\n|\n|\r/g)) lineBreaks++;
  return { value: quoted.replaceAll('""', '"'), end: quote + 1, lineBreaks };
}
