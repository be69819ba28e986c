import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import {
  ascii,
  call,
  dict,
  flags,
  global,
  int,
  pickle,
  string,
  tensor,
  tuple,
} from "../../../test/pickle-writer.js";
import { reference, referencePath } from "../../../test/reference.js";
import { seededUniform } from "../../../test/support.js";
import { zip } from "../../../test/zip-writer.js";
import { AvsegError, CheckpointError } from "../../errors.js";
import { Random } from "../../random.js";
import { bytesSource } from "../byte-source.js";
import { loadStateDict, loadTorchTensor } from "../node/load.js";
import { readStateDict } from "../state-dict.js";
import { crc32 } from "./crc32.js";
import { readTorchTensor } from "./state-dict.js";

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const read = (bytes: Uint8Array) => readStateDict(bytesSource("x.pth", bytes));

const sixPickle = pickle(
  dict(string("w"), tensor("0", 6, [2, 3], [3, 1]), string("t"), tensor("0", 6, [3, 2], [1, 3])),
);
const six = { "x/data.pkl": sixPickle, "x/data/0": floats(1, 2, 3, 4, 5, 6) };

// --- Reading

test("the reference files, zip and legacy, hold the reference tensors", async () => {
  const logMel = await loadTorchTensor(referencePath("torch", "log_mel.pkl"));
  const shape = [5, 1, 96, 64];
  assert.deepEqual(logMel, { dtype: "f32", shape, data: seededUniform("pkl", 5 * 96 * 64) });
  const expected = await reference("torch_files");
  for (const name of ["zip.pth", "legacy.pth", "nested.pth"]) {
    const { tensors } = await loadStateDict(referencePath("torch", name));
    assert.deepEqual([...tensors.keys()].sort(), expected.keys.toSorted(), name);
    for (const key of expected.keys) {
      const { data, shape } = expected.tensor(key);
      const found = tensors.get(key);
      // The reference stores a scalar as one element and everything in two dtypes.
      assert.deepEqual(found?.shape, key === "scalar" ? [] : shape, `${name} ${key}`);
      assert.deepEqual(Array.from(found?.data ?? [], Number), Array.from(data, Number), `${name} ${key}`);
    }
  }
  const nested = await loadStateDict(referencePath("torch", "nested.pth"));
  assert.deepEqual(nested.metadata, { epoch: "7", lr: "0.00006" });
});

test("zip archives are read stored, deflated, as zip64 and without checksums", async () => {
  for (const options of [{}, { deflate: true }, { zip64: true }, { unchecked: true }]) {
    const { tensors, format } = await read(zip(six, options));
    assert.equal(format, "torch-zip");
    assert.deepEqual([...(tensors.get("w")?.data ?? [])], [1, 2, 3, 4, 5, 6]);
    assert.deepEqual([...(tensors.get("t")?.data ?? [])], [1, 4, 2, 5, 3, 6]);
  }
});

test("tensors beside the state dict of a training script are ignored", async () => {
  const one = (storage: string) => tensor(storage, 2, [2], [1]);
  const whole = dict(
    string("rng_state"),
    one("1"),
    string("epoch"),
    int(3),
    string("model"),
    dict(string("best_miou"), one("1"), string("state_dict"), dict(string("w"), one("0"))),
  );
  const { tensors, metadata } = await read(
    zip({ "x/data.pkl": pickle(whole), "x/data/0": floats(1, 2), "x/data/1": floats(3, 4) }),
  );
  assert.deepEqual([...tensors.keys()], ["w"]);
  assert.deepEqual(metadata, { epoch: "3" });
});

test("tensors that share a storage do not share their data", async () => {
  const both = pickle(dict(string("a"), tensor("0", 2, [2], [1]), string("b"), tensor("0", 2, [2], [1])));
  const { tensors } = await read(zip({ "x/data.pkl": both, "x/data/0": floats(1, 2) }));
  assert.notEqual(tensors.get("a")?.data.buffer, tensors.get("b")?.data.buffer);
});

test("expanded and three-dimensional permuted tensors are laid out row by row", async () => {
  const body = pickle(
    dict(string("e"), tensor("0", 8, [2, 3], [0, 0], 5), string("p"), tensor("0", 8, [2, 2, 2], [1, 4, 2])),
  );
  const { tensors } = await read(zip({ "x/data.pkl": body, "x/data/0": floats(0, 1, 2, 3, 4, 5, 6, 7) }));
  assert.deepEqual([...(tensors.get("e")?.data ?? [])], [5, 5, 5, 5, 5, 5]);
  assert.deepEqual([...(tensors.get("p")?.data ?? [])], [0, 2, 4, 6, 1, 3, 5, 7]);
});

test("lazily negated tensors are negated, other lazy views are refused", async () => {
  const file = (metadata: Uint8Array) =>
    zip({ ...six, "x/data.pkl": pickle(dict(string("n"), tensor("0", 6, [2, 2], [1, 3], 1, metadata))) });
  for (const [metadata, expected] of [
    [flags("neg"), [-2, -5, -3, -6]],
    [flags(), [2, 5, 3, 6]],
  ] as const) {
    const { tensors } = await read(file(metadata));
    assert.deepEqual([...(tensors.get("n")?.data ?? [])], expected);
  }
  await refused(file(flags("conj")), /a conjugate view, whose values are not those in the file/);
  await refused(file(flags("neg", "zero")), /a lazy view/);
  await refused(file(int(1)), /invalid metadata/);
});

test("nests are opened and a shared prefix module. is removed", async () => {
  const inner = dict(string("module.w"), tensor("0", 6, [6], [1]));
  const body = pickle(dict(string("best"), int(3), string("state_dict"), dict(string("model"), inner)));
  const { tensors, metadata } = await read(zip({ ...six, "x/data.pkl": body }));
  assert.deepEqual([...tensors.keys()], ["w"]);
  assert.deepEqual(metadata, { best: "3" });
});

test("of a tuple, the first dictionary with tensors is read", async () => {
  const weights = dict(string("w"), tensor("0", 6, [6], [1]));
  const body = pickle(
    tuple(dict(string("epoch"), int(3)), weights, dict(string("v"), tensor("0", 6, [6], [1]))),
  );
  const { tensors } = await read(zip({ ...six, "x/data.pkl": body }));
  assert.deepEqual([...tensors.keys()], ["w"]);
});

// --- Refusing

async function refused(bytes: Uint8Array, message: RegExp): Promise<void> {
  await assert.rejects(read(bytes), (error) => {
    assert.ok(error instanceof CheckpointError, String(error));
    assert.match(error.message, /^x\.pth: /);
    assert.match(error.message, message);
    return true;
  });
}

test("a foreign constructor is named and not called", async () => {
  const evil = call(global("os", "system"), string("echo pwned"));
  await refused(pickle(evil), /os\.system.*nothing was executed/);
  await refused(zip({ "x/data.pkl": pickle(evil) }), /os\.system/);
  await refused(ascii("cos\nsystem\n(S'id'\ntR."), /os\.system/);
  await refused(ascii("(S'id'\nios\nsystem\n."), /os\.system/);
  // Protocol 4: the name comes from the stack.
  const names = Buffer.concat([Buffer.of(0x8c, 8), ascii("builtins"), Buffer.of(0x8c, 4), ascii("eval")]);
  await refused(Buffer.concat([Buffer.of(0x80, 4), names, Buffer.of(0x93), ascii(".")]), /builtins\.eval/);
  await refused(pickle(global("a\x1b[31m", "b")), /a\\u001b\[31m\.b/);
  // Names of this language's own objects are foreign, too.
  await refused(pickle(global("constructor", "prototype")), /constructor\.prototype/);
});

test("tensors that exceed their storage or the file are refused before anything is allocated", async () => {
  const body = (...args: Parameters<typeof tensor>) => ({
    ...six,
    "x/data.pkl": pickle(dict(string("w"), tensor(...args))),
  });
  await refused(zip(body("0", 6, [7], [1])), /exceeds its storage of 24 bytes/);
  await refused(zip(body("0", 6, [6], [1], 1)), /exceeds its storage/);
  await refused(zip(body("0", 1000, [6], [1])), /storage 0 has 24 bytes, 4000 expected/);
  await refused(zip(body("7", 6, [6], [1])), /storage 7 is missing/);
  await refused(zip(body("0", 6, [-1], [1])), /invalid shape or invalid strides/);
  await refused(zip(body("0", 6, [100_000, 100_000], [0, 0])), /far more than the file/);
  await refused(zip(six, { claim: { name: "x/data/0", size: 2 ** 31 } }), /declares 2147483648 bytes/);
  await refused(zip(six, { deflate: true, claim: { name: "x/data/0", size: 20 } }), /storage 0 has 20 bytes/);
  await refused(zip(six, { deflate: true, claim: { name: "x/data/0", size: 30 } }), /does not unpack to 30/);
});

test("a packed storage is charged in full and unpacked once", async () => {
  const one = pickle(dict(string("w"), tensor("0", 1, [1], [1])));
  const large = zip({ "x/data.pkl": one, "x/data/0": Buffer.alloc(1 << 27) }, { deflate: true });
  await refused(large, /at w\) would take 1342177\d\d bytes of memory, far more than the file's/);

  const elements = 1 << 20;
  const items = Array.from({ length: 5000 }, (_, i) => [
    string(`w${i}`),
    tensor("0", elements, [1], [1], elements - 1 - i),
  ]);
  const numbers = Float32Array.from({ length: elements }, (_, i) => i % 7);
  const files = { "x/data.pkl": pickle(dict(...items.flat())), "x/data/0": Buffer.from(numbers.buffer) };
  const { tensors } = await read(zip(files, { deflate: true }));
  assert.deepEqual([...(tensors.get("w4999")?.data ?? [])], [(elements - 5000) % 7]);
  assert.notEqual(tensors.get("w0")?.data.buffer, tensors.get("w1")?.data.buffer);
});

test("a pickle cannot unfold to more than its file", async () => {
  const items = Buffer.concat([
    ascii("]("),
    ...Array.from({ length: 1000 }, () => tuple(int(1), int(2))),
    ascii("eq\x00"),
  ]);
  const copies = Array.from({ length: 5000 }, () => ascii("ccollections\nOrderedDict\n(h\x00tR0"));
  await refused(pickle(Buffer.concat([items, ...copies])), /unfolds to far more/);
});

test("a dictionary that contains itself is searched once, a module. is removed however often", async () => {
  // Each of the names of nests leads back to the dictionary, which is large enough that a second look would tell.
  const plain = Array.from({ length: 10_000 }, (_, i) => [string(`n${i}`), int(i)]).flat();
  const names = ["state_dict", "model_state_dict", "model", "module", "net", "params", "weights"];
  const nests = names.flatMap((name) => [string(name), ascii("h\x00")]);
  const itself = Buffer.concat([ascii("}q\x00("), ...plain, ...nests, ascii("u")]);
  await refused(pickle(itself), /no parameters found in a dictionary with the keys n0, n1/);
  const wrapped = string(`${"module.".repeat(30_000)}w`);
  const { tensors } = await read(
    zip({ ...six, "x/data.pkl": pickle(dict(wrapped, tensor("0", 6, [6], [1]))) }),
  );
  assert.deepEqual([...tensors.keys()], ["w"]);
});

test("of a dictionary without tensors only names are listed, shortened", async () => {
  // A tuple of two tuples of two tuples ..., each level memoised: as text it would be 2^60 characters long.
  const doubled = Array.from({ length: 60 }, (_, i) =>
    Buffer.concat([ascii("q"), Buffer.of(i), ascii("h"), Buffer.of(i, 0x86)]),
  );
  const nest = Buffer.concat([ascii(")"), ...doubled]);
  await refused(pickle(dict(nest, int(1))), /no parameters found in a dictionary$/);
  const long = string("n".repeat(200));
  await refused(pickle(dict(nest, int(1), long, int(1))), /a dictionary with the keys n{57}\.\.\.$/);
});

test("other archives, dictionaries without tensors and other files are refused", async () => {
  await refused(zip({ "a.txt": ascii("x") }), /without data\.pkl/);
  await refused(zip({ ...six, "x/constants.pkl": ascii("") }), /TorchScript/);
  await refused(zip({ ...six, "x/byteorder": ascii("big") }), /byte order is big/);
  await refused(
    pickle(dict(string("epoch"), int(1))),
    /no parameters found in a dictionary with the keys epoch/,
  );
  await refused(new Uint8Array(), /it is empty/);
  await refused(ascii("<!DOCTYPE html><html>"), /it is a web page/);
  await refused(Uint8Array.of(0x1f, 0x8b, 8, 0), /it is packed \(gzip\)/);
  await refused(ascii("version https://git-lfs.github.com/spec/v1\n"), /Git LFS pointer/);
  await assert.rejects(readTorchTensor(bytesSource("x.pkl", pickle(int(3)))), /expected a single tensor/);
});

test("damaged files give nothing but clear errors", async () => {
  const files = ["zip.pth", "legacy.pth"].map((name) => referencePath("torch", name));
  const random = new Random(7);
  for (const whole of [
    zip(six),
    zip(six, { deflate: true }),
    ...(await Promise.all(files.map((f) => readFile(f)))),
  ]) {
    for (let trial = 0; trial < 400; trial++) {
      const bytes = Buffer.from(whole);
      const at = random.integer(bytes.length);
      const damaged = trial % 2 === 0 ? bytes.subarray(0, at) : bytes;
      if (trial % 2 === 1) bytes[at] = (bytes[at] as number) ^ (1 << random.integer(8));
      const outcome = await read(damaged).then(
        () => undefined,
        (error: unknown) => error,
      );
      const clear = outcome === undefined || outcome instanceof AvsegError;
      assert.ok(
        clear,
        `byte ${at} of ${whole.length}: ${outcome instanceof Error ? outcome.stack : outcome}`,
      );
      // What is cut off is always missed, except that a legacy file or pickle could not end earlier anyway.
      if (trial % 2 === 0) assert.notEqual(outcome, undefined, `cut at byte ${at} of ${whole.length}`);
    }
  }
});

test("a flipped byte of a weight fails the checksum", async () => {
  const bytes = zip(six);
  const at = bytes.indexOf(floats(1, 2, 3)) + 5;
  bytes[at] = (bytes[at] as number) ^ 1;
  await refused(bytes, /checksum of entry x\/data\/0/);
  // One checksum of 0 among others is damage, not an archive without checksums.
  const zeroed = zip(six);
  zeroed.writeUInt32LE(0, zeroed.lastIndexOf("x/data/0") - 46 + 16);
  await refused(zeroed, /checksum of entry x\/data\/0/);
});

test("crc32 is the checksum of the zip format", () => {
  assert.equal(crc32(ascii("123456789")), 0xcbf43926);
  assert.equal(crc32(ascii("The quick brown fox jumps over the lazy dog")), 0x414fa339);
});
