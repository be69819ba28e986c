/** Tables in plain text. */
import { at } from "../arrays.js";

/** Rows as lines of aligned columns: to the left, or to the right where `isNumber` says so for a column. */
export function columns(
  rows: readonly (readonly string[])[],
  isNumber: (column: number) => boolean = () => false,
): string[] {
  const widths = (rows[0] ?? []).map((_, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]?.length ?? 0), 0),
  );
  const pad = (cell: string, column: number) =>
    isNumber(column) ? cell.padStart(at(widths, column)) : cell.padEnd(at(widths, column));
  return rows.map((row) => row.map(pad).join("  ").trimEnd());
}
