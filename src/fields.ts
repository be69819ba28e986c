/** Building blocks of schemas for untrusted settings. Every message completes the sentence "expected ...". */
import * as z from "zod";

/** Passes `what` to `make` as the message of every check. */
export function expecting<S>(what: string, make: (message: string) => S): S {
  return make(what);
}

/** An integer from `min` to `max`. */
export const integer = (min: number, max: number) =>
  expecting(`an integer from ${min} to ${max}`, (e) => z.number(e).int(e).min(min, e).max(max, e));

/** A count from 1 to `max`. Default of `max`: one thousand million. */
export const count = (max = 1e9) => integer(1, max);

/** A number in [0, 1). */
export const fraction = expecting("a number from 0 up to, not including, 1", (e) =>
  z.number(e).min(0, e).lt(1, e),
);

/** A boolean. */
export const flag = expecting("true or false", (e) => z.boolean(e));

/** One of a list of names. */
export const oneOf = <const V extends readonly [string, ...string[]]>(values: V) =>
  expecting(`one of ${values.join(", ")}`, (e) => z.enum(values, e));

/** Four counts up to `max`, one for each stage of an encoder. */
export const perStage = (max: number) =>
  expecting(`four integers from 1 to ${max}`, (e) =>
    z.tuple([count(max), count(max), count(max), count(max)], e).readonly(),
  );

/** The schemas of a table's entries, for `z.discriminatedUnion`. */
export function schemasOf<const E extends readonly { readonly schema: z.ZodObject }[]>(entries: E) {
  return entries.map(({ schema }) => schema) as { readonly [K in keyof E]: E[K]["schema"] };
}

/** An object whose unknown keys are refused. */
export const section = <S extends z.ZodRawShape>(shape: S) => z.strictObject(shape, "a section of keys");

/** What a schema complains about: the key, and the value found there. */
export interface Complaint {
  readonly path: readonly (string | number)[];
  /** Completes "expected ...". For an unknown key, `path` names it. */
  readonly expected: string;
  /** The value at `path`, shortened; `nothing` where it is missing. */
  readonly found: string;
  readonly unknownKey: boolean;
}

/** Turns an issue of zod about `value` into a complaint. */
export function complaintOf(issue: z.core.$ZodIssue, value: unknown): Complaint {
  const path = issue.path.map((part) => (typeof part === "symbol" ? String(part) : part));
  if (issue.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    return { path: [...path, key], expected: "a known key", found: key, unknownKey: true };
  }
  const found = valueAt(value, path);
  const text =
    found === undefined ? "nothing" : typeof found === "number" ? String(found) : JSON.stringify(found);
  const shown = text.length > 60 ? `${text.slice(0, 57)}...` : text;
  return { path, expected: issue.message, found: shown, unknownKey: false };
}

/** The value of a nested key; `undefined` where it is missing. */
export function valueAt(value: unknown, path: readonly (string | number)[]): unknown {
  let current = value;
  for (const part of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Object.entries(current).find(([key]) => key === String(part))?.[1];
  }
  return current;
}
