/** Mutations that keep checksums and lengths right, so that a reader gets past its first checks. */
import type { Random } from "../../src/random.js";
import { bytesSource } from "../../src/weights/byte-source.js";
import { crc32 } from "../../src/weights/torch/crc32.js";
import { readZipEntries, readZipEntry } from "../../src/weights/torch/zip.js";
import { zip } from "../../test/zip-writer.js";
import { joined, type Mutation, mutateBytes } from "./bytes.js";
import { mutateJson } from "./json.js";

/** A PNG with one chunk changed, and the checksums of all chunks right. */
export const mutatePng: Mutation = (input, random, other) => {
  if (random.integer(3) === 0) return mutateBytes(input, random, other);
  const chunks = chunksOf(input);
  if (chunks.length === 0) return mutateBytes(input, random, other);
  const chosen = random.integer(chunks.length);
  const changed = chunks.map((chunk, i) =>
    i === chosen ? withCrc(mutateBytes(chunk, random, other)) : chunk,
  );
  return joined(input.subarray(0, 8), ...changed.map(framed));
};

/** The chunks of a PNG: type and data. */
function chunksOf(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks: Uint8Array[] = [];
  for (let at = 8; at + 12 <= bytes.length; ) {
    const size = view.getUint32(at);
    if (at + 12 + size > bytes.length) break;
    chunks.push(bytes.subarray(at + 4, at + 8 + size));
    at += 12 + size;
  }
  return chunks;
}

/** At least a type of four bytes. */
function withCrc(chunk: Uint8Array): Uint8Array {
  return chunk.length >= 4 ? chunk : joined(chunk, new Uint8Array(4 - chunk.length));
}

function framed(chunk: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(chunk.length - 4);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32(chunk));
  return joined(length, chunk, checksum);
}

/** A safetensors file with another header, whose length is right. */
export const mutateSafetensors: Mutation = (input, random, other) => {
  if (random.integer(3) === 0 || input.length < 8) return mutateBytes(input, random, other);
  const view = new DataView(input.buffer, input.byteOffset, input.byteLength);
  const end = 8 + Number(view.getBigUint64(0, true));
  const header = mutateJson(input.subarray(8, end), random, other);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return joined(length, header, input.subarray(end));
};

const ascii = (text: string) => Buffer.from(text, "latin1");

/** Opcodes and their arguments; numbers among them are too large, and names foreign. */
const opcodes: readonly Uint8Array[] = [
  ...["(", ")", "t", "}", "]", "l", "d", "u", "s", "a", "e", "0", "1", "2", ".", "R", "o", "Q", "b", "N"].map(
    ascii,
  ),
  ...["q\0", "h\0", "h\x01", "r\xff\xff\xff\xff", "j\0\0\0\x80", "p9\n", "g9\n", "\x94"].map(ascii),
  ...[
    "\x80\x02",
    "\x80\x09",
    "\x85",
    "\x86",
    "\x87",
    "\x88",
    "\x8f",
    "\x90",
    "\x91",
    "\x93",
    "\x81",
    "\x92",
  ].map(ascii),
  ...["X\xff\xff\xff\xff", "T\xff\xff\xff\x7f", `\x8d${"\xff".repeat(8)}`, `\x95${"\xff".repeat(8)}`].map(
    ascii,
  ),
  ...[
    "J\xff\xff\xff\x7f",
    "J\0\0\0\x80",
    "K\xff",
    "I1e9\n",
    `L${"9".repeat(2000)}L\n`,
    "F1e999\n",
    "Fx\n",
  ].map(ascii),
  ...[`\x8a\xff${"\xff".repeat(255)}`, `G\x7f\xf0${"\0".repeat(6)}`, "S'x'\n", "Vx\\ud800\n", "P1\n"].map(
    ascii,
  ),
  ...["cos\nsystem\n", "cbuiltins\neval\n", "ccollections\nOrderedDict\n", "ctorch\nSize\n"].map(ascii),
  ...["ctorch._utils\n_rebuild_tensor_v2\n", "ctorch._tensor\n_rebuild_from_type_v2\n"].map(ascii),
  ...["ctorch.storage\n_load_from_bytes\n", "ctorch\nFloatStorage\n", "c_codecs\nencode\n"].map(ascii),
];

/** A pickle with other opcodes. */
export const mutatePickle: Mutation = (input, random, other) => {
  if (random.integer(3) === 0) return mutateBytes(input, random, other);
  let out = input;
  for (let count = random.pick([1, 1, 2, 4]); count > 0; count--) {
    const at = random.integer(out.length + 1);
    const skipped = random.pick([0, 0, 1, 2, 8]);
    const times = random.pick([1, 1, 1, 3, 1000]);
    const opcode = random.pick(opcodes);
    out = joined(
      out.subarray(0, at),
      ...Array.from({ length: times }, () => opcode),
      out.subarray(at + skipped),
    );
  }
  return out;
};

/** A torch archive with one entry changed (the pickle most often), its checksum right. */
export async function mutateArchive(
  input: Uint8Array,
  random: Random,
  other: Uint8Array,
): Promise<Uint8Array> {
  if (random.integer(3) === 0) return mutateBytes(input, random, other);
  const source = bytesSource("seed", input);
  const entries = await readZipEntries(source);
  const names = [...entries.keys()];
  const pickle = names.find((name) => name.endsWith("data.pkl"));
  const chosen = random.integer(3) > 0 && pickle !== undefined ? pickle : random.pick(names);
  const files: Record<string, Uint8Array> = {};
  for (const [name, entry] of entries) {
    const bytes = await readZipEntry(source, entry);
    const changed = name === pickle ? mutatePickle(bytes, random, other) : mutateBytes(bytes, random, other);
    if (name !== chosen) files[name] = bytes;
    else if (random.integer(8) > 0) files[name] = changed;
  }
  const size = random.pick([0, 1, 2 ** 31, 2 ** 32 - 2]);
  return zip(files, {
    deflate: random.integer(2) === 0,
    zip64: random.integer(4) === 0,
    unchecked: random.integer(4) === 0,
    claim: random.integer(8) === 0 ? { name: chosen, size } : undefined,
  });
}
