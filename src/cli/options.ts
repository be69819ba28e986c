/** How the values of options are read: what is wrong with one is a usage error that commander words. */
import { InvalidArgumentError } from "commander";
import type { VideoSlice } from "../media/video.js";

/** Parses an integer from `min` to `max`. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
    const bound = max < Number.MAX_SAFE_INTEGER ? `to ${max}` : "or more";
    throw new InvalidArgumentError(`expected an integer, ${min} ${bound}`);
  };
}

/** Parses a fraction, from 0 up to, not including, 1. */
export function fraction(text: string): number {
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value < 1) return value;
  throw new InvalidArgumentError("expected a number from 0 up to, not including, 1");
}

/** Parses a part of a video, START-END in seconds, `M:S` or `H:M:S`; either may be left out. */
export function slice(text: string): VideoSlice {
  const [, from = "", to = ""] = /^([\d:.]*)-([\d:.]*)$/.exec(text.trim()) ?? [];
  const [startSeconds, endSeconds] = [from === "" ? 0 : clockSeconds(from), clockSeconds(to)];
  if (startSeconds !== undefined && (from !== "" || to !== "") && (to === "" || endSeconds !== undefined)) {
    if (endSeconds === undefined || endSeconds > startSeconds) return { startSeconds, endSeconds };
  }
  throw new InvalidArgumentError("expected START-END with START before END, e.g. 90-120, 1:30-2:00 or 90-");
}

/** Seconds of `S`, `M:S` or `H:M:S`; `undefined` for other text. */
function clockSeconds(text: string): number | undefined {
  if (!/^(\d+:){0,2}\d+(\.\d+)?$/.test(text)) return undefined;
  return text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0);
}

/** Collects the assignments of a repeatable `--set`. */
export function collect(value: string, previous: readonly string[]): string[] {
  if (value.indexOf("=") < 1) {
    throw new InvalidArgumentError("expected KEY=VALUE, e.g. training.epochs=10");
  }
  return [...previous, value];
}
