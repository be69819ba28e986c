/** Writes the table of all results as Parquet or as JSON lines. */
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { fileWriter, parquetWriteRows } from "hyparquet-writer";
import { temporaryPath, writeFileAtomic } from "../node/files.js";
import { asOutputError } from "../node/system-error.js";
import { type ResultRow, type ResultRowsOptions, resultRows } from "./result-rows.js";

/** Columns of the table, in the order of `ResultRow`. */
const columns = [
  { name: "key", type: "STRING", nullable: false },
  { name: "video", type: "STRING", nullable: false },
  { name: "sha256", type: "STRING", nullable: false },
  { name: "model", type: "STRING", nullable: false },
  { name: "index", type: "INT32", nullable: false },
  { name: "time", type: "DOUBLE", nullable: false },
  { name: "silent", type: "BOOLEAN", nullable: false },
  { name: "mask", type: "STRING", nullable: true },
  { name: "class", type: "STRING", nullable: true },
  { name: "area_fraction", type: "DOUBLE", nullable: true },
  { name: "confidence", type: "DOUBLE", nullable: true },
  { name: "left", type: "INT32", nullable: true },
  { name: "top", type: "INT32", nullable: true },
  { name: "width", type: "INT32", nullable: true },
  { name: "height", type: "INT32", nullable: true },
] as const satisfies readonly { name: keyof ResultRow; type: string; nullable: boolean }[];

/** Rows that are held in memory at once. */
const rowGroupSize = 100_000;

/** How `exportResults` went. */
export interface ExportedResults {
  readonly videos: number;
  readonly rows: number;
}

/**
 * Writes the results below `out` to `file`: JSON lines where its name ends in `.jsonl`, else Parquet. Memory is bounded,
 * whatever the number of videos. The file appears when it is complete. Throws `OutputError` when results cannot be read or
 * the file cannot be written, and the signal's reason.
 */
export async function exportResults(
  out: string,
  file: string,
  options: ResultRowsOptions = {},
): Promise<ExportedResults> {
  const counts = { videos: 0, rows: 0 };
  const rows = counted(
    resultRows(out, {
      ...options,
      onVideo: (videos) => {
        counts.videos = videos;
        options.onVideo?.(videos);
      },
    }),
    counts,
  );
  if (file.endsWith(".jsonl")) await writeFileAtomic(file, jsonLines(rows));
  else await writeParquet(file, rows);
  return counts;
}

/** The table as JSON lines, e.g. for standard output. */
export async function* jsonLines(
  rows: AsyncIterable<ResultRow>,
): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const row of rows) yield Buffer.from(`${JSON.stringify(row)}\n`);
}

async function* counted(
  rows: AsyncIterable<ResultRow>,
  counts: { rows: number },
): AsyncGenerator<ResultRow, void, undefined> {
  for await (const row of rows) {
    counts.rows++;
    yield row;
  }
}

async function writeParquet(file: string, rows: AsyncIterable<ResultRow>): Promise<void> {
  const temporary = temporaryPath(path.dirname(path.resolve(file)));
  try {
    await parquetWriteRows({
      writer: fileWriter(temporary),
      rows: asRecords(rows),
      columns: columns.map((column) => ({ ...column })),
      rowGroupSize,
      createdBy: "avseg",
    });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw asOutputError(error, file);
  }
}

async function* asRecords(
  rows: AsyncIterable<ResultRow>,
): AsyncGenerator<Record<string, unknown>, void, undefined> {
  for await (const row of rows) yield { ...row };
}
