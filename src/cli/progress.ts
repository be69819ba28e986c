/** Progress on stderr: one line redrawn on a terminal, a plain line now and then elsewhere (logs, CI). */
import stringWidth from "string-width";
import { oneLine } from "./print.js";

/** The part of a writable stream that progress needs; `process.stderr` is one. */
export interface ProgressStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  write(text: string): unknown;
}

/** Settings of `createProgress`. */
export interface ProgressOptions {
  /** What is counted: `"clips"` (as in `12 clips/s`) or `"bytes"` (written as MB). Default: a bare number. */
  readonly unit?: string | undefined;
  /** Where to write. Default: `process.stderr`. */
  readonly stream?: ProgressStream | undefined;
  /** Monotonic clock in milliseconds, for tests. */
  readonly now?: (() => number) | undefined;
}

/** A running progress display. */
export interface ProgressDisplay {
  /** `done` of the total are done; `note` is shown at the end of the line (e.g. `loss 0.41`). */
  update(done: number, note?: string): void;
  /** Writes a line of its own above the progress line. */
  log(line: string): void;
  /** Ends the display, leaving a last line with the total time. Safe to call twice. */
  done(note?: string): void;
}

const redrawMs = 100;
const plainLineMs = 10_000;
/** Cells of the bar between its brackets; where there is no room for the minimum it is left out. */
const barCells = { max: 20, min: 5 };
/** Cells that are left of a long label when all else but the counts has given way. */
const fewestLabelCells = 12;

/**
 * Shows progress of `title` towards `total` (`undefined` when not known) with rate and time left.
 * The rate counts from the first update, so work that a resumed run skipped does not inflate it.
 */
export function createProgress(
  title: string,
  total: number | undefined,
  options: ProgressOptions = {},
): ProgressDisplay {
  const stream: ProgressStream = options.stream ?? process.stderr;
  const label = oneLine(title);
  const now = options.now ?? (() => performance.now());
  const interval = stream.isTTY ? redrawMs : plainLineMs;
  const start = now();
  const pace = measurePace(now);
  let lastDrawn = stream.isTTY ? Number.NEGATIVE_INFINITY : start;
  let line = "";
  let ended = false;

  const draw = (form: (width: number) => string): void => {
    line = stream.isTTY ? form((stream.columns || 80) - 1) : form(Number.POSITIVE_INFINITY);
    stream.write(stream.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };

  /** The bar gives way first, then the rate, the count, and the end of the label: what is left to do is of most use. */
  const render = (
    { done, perSecond, note }: { done: number; perSecond: number; note: string | undefined },
    width: number,
  ): string => {
    const share = total ? Math.min(1, done / total) : undefined;
    const percent = share !== undefined && `${Math.floor(share * 100)}%`;
    const count = amount(done, options.unit) + (total ? `/${amount(total, options.unit)}` : "");
    const rate = perSecond > 0 && formatRate(perSecond, options.unit);
    const left = total && perSecond > 0 && done < total && formatDuration((total - done) / perSecond);
    const rest = [left && `${left} left`, note];
    const forms = [
      [count, percent, rate, ...rest],
      [count, percent, ...rest],
      [percent || count, ...rest],
    ].map(joined);
    const fits = (text: string): boolean => stringWidth(joined([label, text])) <= width;
    const counts = forms.find(fits) ?? forms.at(-1) ?? "";
    const cells = Math.min(barCells.max, width - stringWidth(joined([label, "[]", counts])));
    if (!stream.isTTY || share === undefined || cells < barCells.min) {
      return labeled(label, counts, width);
    }
    return joined([label, bar(share, cells), counts]);
  };

  return {
    update(done, note) {
      if (ended) return;
      const perSecond = pace(done);
      const at = now();
      if (at - lastDrawn < interval) return;
      lastDrawn = at;
      draw((width) => render({ done, perSecond, note: note && oneLine(note) }, width));
    },
    log(text) {
      if (!stream.isTTY) {
        stream.write(`${oneLine(text)}\n`);
        return;
      }
      stream.write(`\r\x1b[K${oneLine(text)}\n${ended ? "" : line}`);
    },
    done(note) {
      if (ended) return;
      ended = true;
      const took = `done in ${formatDuration((now() - start) / 1000)}`;
      draw((width) => labeled(label, joined([took, note && oneLine(note)]), width));
      if (stream.isTTY) stream.write("\n");
    },
  };
}

/**
 * Measures how fast counted work proceeds. Give it the count as it grows: the answer is the count per second since
 * the first call (so that what a resumed run skipped does not inflate it), 0 while it is not known.
 */
export function measurePace(now: () => number = () => performance.now()): (done: number) => number {
  let first: { done: number; at: number } | undefined;
  return (done) => {
    const at = now();
    first ??= { done, at };
    return at > first.at ? ((done - first.done) / (at - first.at)) * 1000 : 0;
  };
}

/** Seconds as people say them: `8 s`, `3:05`, `2:03:05`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const two = (n: number): string => String(n).padStart(2, "0");
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${two(whole % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(whole % 60)}`;
}

/** Bytes in decimal units: `512 B`, `3.4 MB`, `1.20 GB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(0)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

function amount(n: number, unit: string | undefined): string {
  return unit === "bytes" ? formatBytes(n) : String(n);
}

function formatRate(rate: number, unit: string | undefined): string {
  if (unit === "bytes") return `${formatBytes(Math.round(rate))}/s`;
  const name = unit === undefined ? "" : ` ${unit}`;
  return `${rate >= 10 ? rate.toFixed(0) : rate.toPrecision(2)}${name}/s`;
}

function bar(share: number, cells: number): string {
  const filled = Math.round(share * cells);
  return `[${"#".repeat(filled)}${".".repeat(cells - filled)}]`;
}

function joined(parts: readonly (string | number | false | undefined)[]): string {
  return parts.filter(Boolean).join("  ");
}

/** A label and counts in at most `width` cells: the label is cut first. */
function labeled(label: string, counts: string, width: number): string {
  const room = Math.max(fewestLabelCells, width - stringWidth(counts) - 2);
  return clip(joined([clip(label, room), counts]), width);
}

/** The beginning of `text` that fits into `width` cells of a terminal, in which some characters take two or none. */
function clip(text: string, width: number): string {
  if (stringWidth(text) <= width) return text;
  let kept = "";
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    if (stringWidth(kept + segment) >= width) break;
    kept += segment;
  }
  return `${kept}…`;
}
