/** Evaluations of parts of a dataset as one. */
import type { BinaryScorerState } from "./binary-scorer.js";
import type { ScorerState } from "./evaluate-clips.js";
import type { SemanticScorerState } from "./semantic-scorer.js";

/**
 * The state of a scorer that saw the clips of all parts, which are in the order of the dataset and end with whole batches.
 * Throws `RangeError` for no parts, or for states of different tasks.
 */
export function mergeStates(parts: readonly ScorerState[]): ScorerState {
  const [first] = parts;
  if (first?.kind === "binary") return mergeBinary(parts.filter((part) => part.kind === "binary"));
  if (first?.kind === "semantic") return mergeSemantic(parts.filter((part) => part.kind === "semantic"));
  throw new RangeError("evaluation: expected at least one part");
}

function mergeBinary(parts: readonly BinaryScorerState[]): BinaryScorerState {
  return {
    kind: "binary",
    ...addedSums(parts.map(({ kind, overall, categories, clips, ...sums }) => sums)),
    overall: addedSums(parts.map(({ overall }) => overall)),
    categories: mergeCategories(parts),
    clips: parts.flatMap(({ clips }) => clips),
  };
}

function mergeSemantic(parts: readonly SemanticScorerState[]): SemanticScorerState {
  return {
    kind: "semantic",
    withPadding: addedSums(parts.map(({ withPadding }) => withPadding)),
    real: addedSums(parts.map(({ real }) => real)),
    categories: mergeCategories(parts),
    clips: parts.flatMap(({ clips }) => clips),
  };
}

interface CategoryState<T> {
  readonly category: string;
  readonly clips: number;
  readonly tally: T;
}

function mergeCategories<T extends object>(
  parts: readonly { readonly categories: readonly CategoryState<T>[] }[],
): CategoryState<T>[] {
  const byName = new Map<string, CategoryState<T>>();
  for (const own of parts.flatMap(({ categories }) => categories)) {
    const known = byName.get(own.category);
    byName.set(
      own.category,
      known ? { ...own, clips: known.clips + own.clips, tally: addedSums([known.tally, own.tally]) } : own,
    );
  }
  return [...byName.values()];
}

/** Adds tallies, which hold numbers and arrays of numbers; an empty array counts as zeros. */
function addedSums<T extends object>([first, ...rest]: readonly T[]): T {
  if (first === undefined) throw new RangeError("evaluation: expected at least one tally");
  const entries = Object.entries(first).map(([name, start]: [string, unknown]) => [
    name,
    rest.map((tally): unknown => Reflect.get(tally, name)).reduce(added, start),
  ]);
  return { ...first, ...Object.fromEntries(entries) };
}

function added(a: unknown, b: unknown): unknown {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (!Array.isArray(a) || !Array.isArray(b)) throw new TypeError("evaluation: expected sums");
  const length = Math.max(a.length, b.length);
  return Array.from({ length }, (_, i) => Number(a[i] ?? 0) + Number(b[i] ?? 0));
}
