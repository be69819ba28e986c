/** Progress on stderr: one line redrawn on a terminal, a plain line now and then elsewhere (logs, CI). */
import { oneLine } from "./print.js";

/** The part of a writable stream that progress needs; `process.stderr` is one. */
export interface ProgressStream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): unknown;
}

/** Settings of `createProgress`. */
export interface ProgressOptions {
  /** What is counted: `"clips"` (as in `12 clips/s`) or `"bytes"` (written as MB). Default: a bare number. */
  readonly unit?: string;
  /** Where to write; `process.stderr` unless told. */
  readonly stream?: ProgressStream;
  /** Monotonic clock in milliseconds, for tests. */
  readonly now?: () => number;
}

/** A running progress display. */
export interface Progress {
  /** `done` of the total are done; `note` is shown at the end of the line (e.g. `loss 0.41`). */
  update(done: number, note?: string): void;
  /** Writes a line of its own above the progress line. */
  log(line: string): void;
  /** Ends the display, leaving a last line with the total time. Safe to call twice. */
  done(note?: string): void;
}

const redrawMs = 100;
const plainLineMs = 10_000;
const barWidth = 20;

/**
 * Shows progress of `label` towards `total` (`undefined` when not known) with rate and time left.
 * The rate counts from the first update, so work that a resumed run skipped does not inflate it.
 */
export function createProgress(
  label: string,
  total: number | undefined,
  options: ProgressOptions = {},
): Progress {
  const stream: ProgressStream = options.stream ?? process.stderr;
  const now = options.now ?? (() => performance.now());
  const interval = stream.isTTY ? redrawMs : plainLineMs;
  const start = now();
  let first: { done: number; at: number } | undefined;
  let lastDrawn = stream.isTTY ? Number.NEGATIVE_INFINITY : start;
  let line = "";
  let ended = false;

  const draw = (text: string): void => {
    line = stream.isTTY ? clip(oneLine(text), (stream.columns ?? 80) - 1) : oneLine(text);
    stream.write(stream.isTTY ? `\r\x1b[K${line}` : `${line}\n`);
  };

  const render = (done: number, note: string | undefined): string => {
    const elapsed = (now() - (first?.at ?? start)) / 1000;
    const rate = first && elapsed > 0 ? (done - first.done) / elapsed : 0;
    const parts = [label];
    if (total !== undefined && total > 0) {
      const share = Math.min(1, done / total);
      if (stream.isTTY) parts.push(bar(share));
      parts.push(`${amount(done, options.unit)}/${amount(total, options.unit)}`);
      parts.push(`${Math.floor(share * 100)}%`);
    } else {
      parts.push(amount(done, options.unit));
    }
    if (rate > 0) parts.push(formatRate(rate, options.unit));
    if (rate > 0 && total !== undefined && done < total) {
      parts.push(`${formatDuration((total - done) / rate)} left`);
    }
    if (note) parts.push(note);
    return parts.join("  ");
  };

  return {
    update(done, note) {
      if (ended) return;
      const at = now();
      first ??= { done, at };
      if (at - lastDrawn < interval) return;
      lastDrawn = at;
      draw(render(done, note));
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
      draw([label, took, ...(note ? [note] : [])].join("  "));
      if (stream.isTTY) stream.write("\n");
    },
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

function bar(share: number): string {
  const filled = Math.round(share * barWidth);
  return `[${"#".repeat(filled)}${".".repeat(barWidth - filled)}]`;
}

function clip(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, Math.max(0, width - 1))}…`;
}
