/** Mutations of bytes of any format: flipped bits, numbers out of range, cuts, splices and repetitions. */
import type { Random } from "../../src/random.js";

/** Changes `input`; `other` is another valid input of the same reader, to splice with. */
export type Mutation = (input: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

/** Mutated inputs stay below this, so that a limit on time is a limit on time per byte. */
export const maxBytes = 1 << 20;

/** Joins pieces, cut to the largest size of an input. */
export function joined(...pieces: readonly Uint8Array[]): Uint8Array {
  const whole = Buffer.concat(pieces);
  return whole.subarray(0, maxBytes);
}

/** A position in `input` and a length that fits behind it; most lengths are short. */
export function range(input: Uint8Array, random: Random): { start: number; end: number } {
  const start = random.integer(input.length + 1);
  const reach = random.pick([1, 4, 16, 64, 1024, input.length]);
  return { start, end: Math.min(input.length, start + 1 + random.integer(reach)) };
}

/** Numbers that overflow, wrap or just miss something, as 64 bits. */
function badNumber(input: Uint8Array, random: Random): bigint {
  const near = BigInt(random.pick([-1, 0, 1]));
  const base = random.pick([
    0n,
    0x7fn,
    0xffn,
    0x7fffn,
    0xffffn,
    0x7fffffffn,
    0xffffffffn,
    2n ** 53n,
    2n ** 63n,
  ]);
  return random.integer(4) === 0 ? BigInt(input.length) + near : base + near;
}

const flipBits: Mutation = (input, random) => {
  const out = Uint8Array.from(input);
  for (let count = 1 + random.integer(8); count > 0; count--) {
    const at = random.integer(out.length);
    out[at] = (out[at] ?? 0) ^ (1 << random.integer(8));
  }
  return out;
};

const setBytes: Mutation = (input, random) => {
  const out = Uint8Array.from(input);
  const { start, end } = range(input, random);
  const value = random.pick([0, 1, 0x20, 0x7f, 0x80, 0xfe, 0xff, random.integer(256)]);
  return out.fill(value, start, Math.min(end, start + 16));
};

/** Overwrites a length, offset, count or size, wherever it is, in either byte order. */
const setNumber: Mutation = (input, random) => {
  const width = random.pick([1, 2, 4, 4, 8]);
  if (input.length < width) return input;
  const out = Buffer.from(input);
  const at = random.integer(input.length - width + 1);
  const value = BigInt.asUintN(8 * width, badNumber(input, random));
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  const number = bytes.subarray(0, width);
  if (random.integer(2) === 0) number.reverse();
  out.set(number, at);
  return out;
};

/** Adds a little to a number. */
const nudge: Mutation = (input, random) => {
  const out = Uint8Array.from(input);
  const at = random.integer(out.length);
  out[at] = (out[at] ?? 0) + random.pick([-2, -1, 1, 2]);
  return out;
};

const truncate: Mutation = (input, random) => input.slice(0, random.integer(input.length + 1));

const remove: Mutation = (input, random) => {
  const { start, end } = range(input, random);
  return joined(input.subarray(0, start), input.subarray(end));
};

const repeat: Mutation = (input, random) => {
  const { start, end } = range(input, random);
  const piece = input.subarray(start, end);
  const times = random.pick([1, 2, 8, 100, 5000]);
  const count = Math.min(times, Math.ceil(maxBytes / Math.max(1, piece.length)));
  const copies = Array.from({ length: count }, () => piece);
  return joined(input.subarray(0, end), ...copies, input.subarray(end));
};

const insertNoise: Mutation = (input, random) => {
  const { start, end } = range(input, random);
  const noise = Uint8Array.from({ length: Math.min(64, end - start) }, () => random.integer(256));
  return joined(input.subarray(0, start), noise, input.subarray(start));
};

const splice: Mutation = (input, random, other) => {
  const { start, end } = range(input, random);
  const from = range(other, random);
  return joined(input.subarray(0, start), other.subarray(from.start, from.end), input.subarray(end));
};

const swap: Mutation = (input, random) => {
  const { start, end } = range(input, random);
  const at = random.integer(start + 1);
  return joined(
    input.subarray(0, at),
    input.subarray(start, end),
    input.subarray(at, start),
    input.subarray(end),
  );
};

const appendOther: Mutation = (input, _random, other) => joined(input, other);

const kinds: readonly Mutation[] = [
  ...[flipBits, flipBits, setBytes, setNumber, setNumber, setNumber, nudge],
  ...[truncate, remove, repeat, insertNoise, splice, swap, appendOther],
];

/** One to four changes of any kind. */
export const mutateBytes: Mutation = (input, random, other) => {
  let out = input;
  for (let count = random.pick([1, 1, 1, 2, 4]); count > 0; count--) {
    if (out.length === 0) return out;
    out = random.pick(kinds)(out, random, other);
  }
  return out;
};
