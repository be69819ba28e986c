/**
 * State dicts in other forms than their authors' own: with a prefix before every key (Lightning's `model.`, a whole
 * model's `visual_encoder.`), or with the keys of timm, torchvision or Hugging Face.
 */
import { CheckpointError } from "../errors.js";
import { copyOf, type StateDict, type Tensor } from "../tensor.js";
import { type EncoderLayout, keyLayouts } from "./key-layouts.js";

/** Parts of keys that only wrappers add: `torch.compile`, FSDP, activation checkpointing. */
const wrapperParts = /(^|\.)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)(?=\.)/g;

/** Prefixes in the order of preference where several sets of weights fit. */
const preferredPrefixes = ["", "model.", "module.", "net.", "network.", "backbone.", "encoder."];

/** Where the state dicts of a system hold what tells it apart, and its visual encoder. */
export interface ModelKeys {
  /** A key that every model of the system has. */
  readonly anchor: string;
  /** Prefixes that its visual encoders may have, without the last dot. */
  readonly visual: readonly string[];
  /** The system's key that another version of a library writes differently; others as they are. */
  readonly rename?: ((key: string) => string) | undefined;
}

/** Prefixes that are tried for one layout. No file of weights has nearly as many. */
const maxPrefixes = 64;

/**
 * The entries without what wrappers of the whole model add to every key: `module.` of `DataParallel`, as often as it was
 * wrapped, and `_orig_mod.` of `torch.compile` and the like anywhere. Keys that would then be equal stay as they are.
 */
export function withoutWrappers<T>(entries: ReadonlyMap<string, T>): Map<string, T> {
  const unwrapped = renamed(entries, (key) => key.replace(wrapperParts, "").replace(/^\./, ""));
  const depth = [...unwrapped.keys()].reduce((min, key) => {
    const own = /^(?:module\.)*/.exec(key)?.[0].length ?? 0;
    return Math.min(min, own);
  }, Number.POSITIVE_INFINITY);
  return renamed(unwrapped, (key) => key.slice(depth));
}

function renamed<T>(entries: ReadonlyMap<string, T>, rename: (key: string) => string): Map<string, T> {
  const out = new Map([...entries].map(([key, value]) => [rename(key), value]));
  return out.size === entries.size ? out : new Map(entries);
}

/** A set of weights in a file: a prefix, and below it the keys of a layout (or the authors' own). */
interface Candidate {
  readonly prefix: string;
  readonly layout?: EncoderLayout | undefined;
}

/**
 * The weights of an encoder under the keys that `expected` lists, whatever prefix and layout `found` has.
 * Of several sets that fit, those under `prefix` are preferred, then those under common prefixes.
 * Returns `found` itself when nothing in it fits. Throws `CheckpointError` naming `file` when the choice is not clear.
 */
export function encoderKeys(
  found: StateDict,
  expected: readonly string[],
  { file, prefix }: { readonly file: string; readonly prefix: string },
): StateDict {
  const wanted = new Set(expected);
  const keys = [...found.keys()];
  const scored = candidates(keys, expected).map((candidate) => {
    const names = keysBelow(keys, candidate).flatMap(([, names]) => names);
    return { candidate, score: names.filter((name) => wanted.has(name)).length };
  });
  // A file that has less than half of the keys holds something else: its own keys are better to read in messages.
  const best = scored.reduce((max, { score }) => Math.max(max, score), Math.ceil(expected.length / 2));
  const fitting = scored.filter(({ score }) => score === best).map(({ candidate }) => candidate);
  const choice = preferred(fitting, [prefix, ...preferredPrefixes], file);
  return choice === undefined ? found : taken(found, choice);
}

/**
 * The keys of a whole model, of one of the systems, without a prefix before them all, its visual encoder under the
 * authors' keys. Throws `CheckpointError` naming `file` when it holds several models.
 */
export function modelKeys(
  found: StateDict,
  { systems, file }: { readonly systems: readonly ModelKeys[]; readonly file: string },
): StateDict {
  const prefixes = prefixesOf(
    found.keys(),
    systems.map(({ anchor }) => anchor),
  );
  const whole = preferred(
    prefixes.map((prefix) => ({ prefix })),
    preferredPrefixes,
    file,
  );
  const own = whole === undefined || whole.prefix === "" ? found : taken(found, whole);
  const rename = systems.find(({ anchor }) => own.has(anchor))?.rename;
  const model = rename ? renamed(own, rename) : own;
  const parts = new Set(systems.flatMap(({ visual }) => visual.map((prefix) => `${prefix}.`)));
  const encoders = [...parts].flatMap((part) => layouts().map((layout) => ({ part, layout })));
  const other = encoders.find(({ part, layout }) =>
    layout.anchors.some((anchor) => model.has(part + anchor)),
  );
  if (other === undefined) return model;
  const { part, layout } = other;
  return new Map([
    ...[...taken(model, { prefix: part, layout })].map(([key, t]): [string, Tensor] => [part + key, t]),
    ...[...model].filter(([key]) => !key.startsWith(part)),
  ]);
}

/** The candidate with the first of the prefixes in `order`. */
function preferred(
  fitting: readonly Candidate[],
  order: readonly string[],
  file: string,
): Candidate | undefined {
  const rank = ({ prefix }: Candidate): number => {
    const index = order.indexOf(prefix);
    return index < 0 ? order.length : index;
  };
  const [first, second] = fitting.toSorted((a, b) => rank(a) - rank(b));
  if (first === undefined || second === undefined || rank(first) < order.length) return first;
  throw new CheckpointError(
    `${file}: several sets of weights fit, below ${first.prefix} and below ${second.prefix}`,
    { hint: "Save the one that is meant in a file of its own." },
  );
}

function layouts(): EncoderLayout[] {
  return [...new Set(keyLayouts.flatMap(({ encoder }) => encoder ?? []))];
}

function candidates(keys: readonly string[], expected: readonly string[]): Candidate[] {
  const samples = [0, Math.floor(expected.length / 2), expected.length - 1].flatMap((i) => expected[i] ?? []);
  return [
    ...prefixesOf(keys, samples).map((prefix) => ({ prefix })),
    ...layouts().flatMap((layout) => prefixesOf(keys, layout.anchors).map((prefix) => ({ prefix, layout }))),
  ];
}

/** What precedes one of `anchors` in `keys`, the shortest first. */
function prefixesOf(keys: Iterable<string>, anchors: readonly string[]): string[] {
  const prefixes = new Set<string>();
  for (const key of keys) {
    for (const anchor of anchors) {
      if (key === anchor || key.endsWith(`.${anchor}`))
        prefixes.add(key.slice(0, key.length - anchor.length));
    }
  }
  return [...prefixes].sort((a, b) => a.length - b.length).slice(0, maxPrefixes);
}

/** Keys below a candidate's prefix, each with the authors' keys for its tensor. */
function keysBelow(keys: Iterable<string>, { prefix, layout }: Candidate): [string, readonly string[]][] {
  return [...keys]
    .filter((key) => key.startsWith(prefix))
    .map((key) => [key, layout?.rename(key.slice(prefix.length)) ?? [key.slice(prefix.length)]]);
}

/** The tensors below a candidate's prefix, under the authors' keys. */
function taken(found: StateDict, candidate: Candidate): StateDict {
  const names = new Map(keysBelow(found.keys(), candidate));
  const out = new Map<string, Tensor>();
  for (const [key, tensor] of found) {
    // One tensor under two keys must not share its memory.
    for (const [i, name] of (names.get(key) ?? []).entries())
      out.set(name, i === 0 ? tensor : copyOf(tensor));
  }
  return candidate.layout?.finish?.(out) ?? out;
}
