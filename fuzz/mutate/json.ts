/** Mutations of JSON that stay JSON: another value at one place, also inside texts that hold JSON themselves. */
import type { Random } from "../../src/random.js";
import { joined, type Mutation } from "./bytes.js";
import { mutateText } from "./text.js";

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const values: readonly Json[] = [
  ...[null, true, 0, -1, 0.5, 1e308, 2 ** 31, 2 ** 53, "", "x", "\0", "0", "NaN", [], {}],
  ...[
    [[]],
    [0, 0],
    [2 ** 32, 2 ** 32],
    [-1],
    ["1"],
    { a: 1 },
    "x".repeat(10_000),
    Array<number>(10_000).fill(1),
  ],
];

/** The same JSON with one place changed: replaced, removed, or added again under another name. */
function changed(json: Json, random: Random): Json {
  if (typeof json === "string" && /^[[{]/.test(json) && random.integer(8) > 0) {
    const inner = parsed(json);
    if (inner !== undefined) return JSON.stringify(changed(inner, random));
  }
  if (Array.isArray(json) && json.length > 0 && random.integer(4) > 0) {
    const at = random.integer(json.length);
    const others = (keep: Json[]) => [...json.slice(0, at), ...keep, ...json.slice(at + 1)];
    const own = json[at] ?? null;
    return others(random.pick([[changed(own, random)], [changed(own, random)], [], [own, own]]));
  }
  if (typeof json === "object" && json !== null && !Array.isArray(json) && random.integer(8) > 0) {
    const entries = Object.entries(json);
    const entry = entries[random.integer(entries.length)];
    if (entry === undefined) return random.pick(values);
    const [key, value] = entry;
    const kind = random.integer(10);
    if (kind === 0) return Object.fromEntries(entries.filter(([name]) => name !== key));
    const name = kind === 1 ? random.pick(["__proto__", "constructor", "", `${key}x`, "__metadata__"]) : key;
    return Object.fromEntries([...entries, [name, kind === 1 ? value : changed(value, random)]]);
  }
  if (typeof json === "number" && random.integer(2) === 0) return json + random.pick([-1, 1, 0.5, 256]);
  return random.pick(values);
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** One or two changes that keep the JSON valid; one in three of its text. */
export const mutateJson: Mutation = (input, random, other) => {
  const json = parsed(Buffer.from(input).toString("utf8"));
  if (json === undefined || random.integer(3) === 0) return mutateText(input, random, other);
  const once = changed(json, random);
  return joined(Buffer.from(JSON.stringify(random.integer(2) === 0 ? once : changed(once, random))));
};
