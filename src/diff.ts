/** Nested settings as a flat list, to compare them key by key. */

/** Every value that is not a section, by its dotted key, as JSON. */
function leavesOf(section: object, path = ""): Map<string, string> {
  const leaves = new Map<string, string>();
  for (const [key, value] of Object.entries(section)) {
    const name = path === "" ? key : `${path}.${key}`;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      for (const [inner, text] of leavesOf(value, name)) leaves.set(inner, text);
    } else if (value !== undefined) {
      leaves.set(name, JSON.stringify(value));
    }
  }
  return leaves;
}

/** The first key that matters in which two differ, with both values as JSON; `undefined` where the key is missing. */
export function firstDifference(
  a: object,
  b: object,
  matters: (key: string) => boolean,
): { readonly key: string; readonly values: readonly [string | undefined, string | undefined] } | undefined {
  const [left, right] = [leavesOf(a), leavesOf(b)];
  for (const key of new Set([...left.keys(), ...right.keys()])) {
    const values = [left.get(key), right.get(key)] as const;
    if (values[0] !== values[1] && matters(key)) return { key, values };
  }
  return undefined;
}
