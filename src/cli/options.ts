/** How the values of options are read: what is wrong with one is a usage error that commander words. */
import { InvalidArgumentError } from "commander";

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

/** Collects the assignments of a repeatable `--set`. */
export function collect(value: string, previous: readonly string[]): string[] {
  if (value.indexOf("=") < 1) {
    throw new InvalidArgumentError("expected KEY=VALUE, e.g. training.epochs=10");
  }
  return [...previous, value];
}
