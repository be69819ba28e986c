/**
 * PyTorch checkpoints without PyTorch: the zip format (since 1.6), the legacy format before it, and tensors pickled
 * directly (as AVSBench ships its log-mels). The structure of a file is read first, and tensors on demand.
 * Origin of the formats: `torch/serialization.py`.
 */
import { CheckpointError } from "../../errors.js";
import type { Tensor } from "../../tensor.js";
import { type ByteSource, bytesSource, checkRange, type DiskFile, type ReadOptions } from "../byte-source.js";
import { detectContainer } from "../detect.js";
import { ELEMENTS, isSize } from "../elements.js";
import { elementTypeOf, isStorageClass, isUntyped, unsupported } from "./dtypes.js";
import { torchGlobals } from "./globals.js";
import { TorchStorage, type TorchTensor } from "./objects.js";
import { type PickleEnvironment, PickleMachine, type PickleValue } from "./pickle.js";
import { PickleEndError } from "./pickle-reader.js";
import { checkZipEntry, readZipEntries, readZipEntry, type ZipEntry, zipDataOffset } from "./zip.js";

/** The forms in which PyTorch writes tensors. */
export type TorchFormat = "torch-zip" | "torch-legacy" | "pickle";

/** Pickles of names and numbers are shorter than this. */
const maxPickleBytes = 1 << 28;

/** The first pickle of a legacy file. */
const legacyMagic = 0x1950a86a20f9469cfc6cn;
const legacyProtocol = 1001;

/**
 * Reads the structure of a checkpoint: dictionaries (Map), lists, numbers and `TorchTensor`s that are not loaded yet.
 * Throws `CheckpointError` for a damaged file and for one that names a constructor outside of the allow-list.
 */
export async function readTorch(source: ByteSource): Promise<{ root: PickleValue; format: TorchFormat }> {
  const container = await detectContainer(source);
  if (container === "zip") return { root: await readZip(source), format: "torch-zip" };
  if (container === "pickle") return readPickles(source);
  throw new CheckpointError(`${source.name}: expected a PyTorch file, found ${container}`, {
    hint: "Give a .pth, .pt or .pkl file.",
  });
}

/**
 * Throws `CheckpointError` when tensors would take far more memory than the size of their file justifies: views can
 * declare a shape far larger than their storage, and packed storages grow when they are unpacked.
 */
export function checkMemory(source: ByteSource, wanted: Iterable<readonly [string, TorchTensor]>): void {
  const limit = 16 * source.size + (1 << 26);
  const storages = new Set<TorchStorage>();
  let total = 0;
  for (const [key, { storage, cost }] of wanted) {
    total += cost;
    if (!storages.has(storage)) total += storage.unpackedBytes;
    storages.add(storage);
    if (total <= limit) continue;
    throw new CheckpointError(
      `${source.name}: its tensors (at ${key}) would take ${total} bytes of memory, far more than the file's ${source.size}`,
      { hint: "The file is damaged or malicious. Get it from a source that you trust." },
    );
  }
}

/** Loads tensors one by one. Throws `CheckpointError` when the file is damaged, and what `checkMemory` throws. */
export async function loadTorchTensors(
  source: ByteSource,
  wanted: ReadonlyMap<string, TorchTensor>,
  { signal, inPlace }: ReadOptions = {},
): Promise<Map<string, Tensor>> {
  checkMemory(source, wanted);
  const tensors = new Map<string, Tensor>();
  for (const [key, tensor] of wanted) {
    signal?.throwIfAborted();
    tensors.set(key, await tensor.load({ inPlace }));
  }
  return tensors;
}

// --- Zip

async function readZip(source: ByteSource): Promise<PickleValue> {
  const entries = await readZipEntries(source);
  const entry = [...entries.values()].find(({ name }) => /^([^/]+\/)?data\.pkl$/.test(name));
  if (entry === undefined) {
    throw new CheckpointError(
      `${source.name}: a zip archive without data.pkl, expected a PyTorch checkpoint`,
      {
        hint: "Give a file written by torch.save.",
      },
    );
  }
  const prefix = entry.name.slice(0, -"data.pkl".length);
  if (entries.has(`${prefix}constants.pkl`)) {
    throw new CheckpointError(`${source.name}: a TorchScript archive, expected a checkpoint`, {
      hint: "Save the model's state_dict() with torch.save and give that file.",
    });
  }
  const order = entries.get(`${prefix}byteorder`);
  if (order !== undefined && order.size < 16) {
    const text = new TextDecoder().decode(await readZipEntry(source, order)).trim();
    if (text !== "little") {
      throw new CheckpointError(`${source.name}: its byte order is ${text}, expected little`, {
        hint: "Save it again with PyTorch on a little-endian machine.",
      });
    }
  }
  if (entry.size > maxPickleBytes) {
    throw new CheckpointError(
      `${source.name}: data.pkl declares ${entry.size} bytes, expected ${maxPickleBytes} at most`,
      { hint: "The file is damaged or malicious. Get it from a source that you trust." },
    );
  }
  const storages = new Map<string, TorchStorage>();
  const machine: PickleMachine = new PickleMachine(await readZipEntry(source, entry), {
    source: source.name,
    globals,
    persistent: (id) => {
      const declared = storageId(id, machine);
      const known = storages.get(declared.key);
      if (known !== undefined) return known;
      const data = entries.get(`${prefix}data/${declared.key}`);
      if (data === undefined) throw machine.refuse(`storage ${declared.key} is missing from the archive`);
      if (data.size < declared.size) {
        throw machine.refuse(`storage ${declared.key} has ${data.size} bytes, ${declared.size} expected`);
      }
      const storage =
        data.method === "stored"
          ? new TorchStorage({
              ...declared,
              read: storedReader(source, data),
              place: storedPlace(source, data),
            })
          : new TorchStorage({ ...declared, read: deflatedReader(source, data), unpackedBytes: data.size });
      storages.set(declared.key, storage);
      return storage;
    },
  });
  return machine.run();
}

/** Reads parts of a stored entry. A read of all of it is checked against the checksum. */
function storedReader(source: ByteSource, entry: ZipEntry): TorchStorage["read"] {
  return async (offset, length) => {
    if (length === entry.size) return readZipEntry(source, entry);
    checkRange({ name: source.name, size: entry.size }, offset, length);
    return source.read((await zipDataOffset(source, entry)) + offset, length);
  };
}

/** Where a stored entry lies. What is used in place is checked against the checksum first, once. */
function storedPlace(source: ByteSource, entry: ZipEntry): TorchStorage["place"] {
  const { disk } = source;
  let place: Promise<{ disk: DiskFile; offset: number }> | undefined;
  const find = async (file: DiskFile) => {
    await checkZipEntry(source, entry);
    return { disk: file, offset: await zipDataOffset(source, entry) };
  };
  return async () => {
    if (disk) place ??= find(disk);
    return place;
  };
}

/** Reads parts of a deflated entry, which is unpacked once and kept for the other tensors of the storage. */
function deflatedReader(source: ByteSource, entry: ZipEntry): TorchStorage["read"] {
  let unpacked: Promise<Uint8Array<ArrayBuffer>> | undefined;
  return async (offset, length) => {
    unpacked ??= readZipEntry(source, entry);
    return (await unpacked).slice(offset, offset + length);
  };
}

// --- Legacy and plain pickles

async function readPickles(source: ByteSource): Promise<{ root: PickleValue; format: TorchFormat }> {
  // Only running the pickles shows where they end: try with more and more of the file.
  const limit = Math.min(source.size, maxPickleBytes);
  for (let length = 1 << 20; ; length *= 8) {
    try {
      return runPickles(source, await source.read(0, Math.min(length, limit)));
    } catch (error) {
      if (!(error instanceof PickleEndError) || length >= limit) throw error;
    }
  }
}

/** Runs the pickles at the start of `source`; `bytes` are its first bytes. */
function runPickles(
  source: ByteSource,
  bytes: Uint8Array,
  depth = 0,
): { root: PickleValue; format: TorchFormat } {
  const environment: PickleEnvironment = { source: source.name, globals, depth };
  const opening = new PickleMachine(bytes, environment);
  const first = opening.run();
  if (first !== legacyMagic) return { root: first, format: "pickle" };
  const protocol = new PickleMachine(bytes, environment, opening.reader.position);
  if (protocol.run() !== legacyProtocol) throw protocol.refuse("a PyTorch file of an unknown version");
  const system = new PickleMachine(bytes, environment, protocol.reader.position);
  const info = system.run();
  if (info instanceof Map && info.get("little_endian") === false) {
    throw system.refuse("its byte order is big, expected little");
  }

  // Storages follow the pickles in the order of a list that comes after the object that refers to them.
  const storages = new Map<string, TorchStorage>();
  const starts = new Map<string, number>();
  const machine: PickleMachine = new PickleMachine(
    bytes,
    {
      ...environment,
      persistent: (id) => {
        const declared = storageId(id, machine);
        const { key, type, size } = declared;
        const base =
          storages.get(key) ?? new TorchStorage({ type, size, read: legacyReader(source, declared, starts) });
        storages.set(key, base);
        return declared.view === undefined ? base : viewOf(base, declared.view, machine);
      },
    },
    system.reader.position,
  );
  const root = machine.run();
  const list = new PickleMachine(bytes, environment, machine.reader.position);
  const keys = list.run();
  if (!Array.isArray(keys)) throw list.refuse("a PyTorch file without its list of storages");
  let position = list.reader.position;
  for (const key of keys) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (typeof key !== "string" || storage === undefined)
      throw list.refuse("a storage that no tensor refers to");
    starts.set(key, position);
    position += 8 + storage.size;
    checkRange(source, position, 0);
  }
  if (starts.size !== storages.size) throw list.refuse("a tensor whose storage is missing");
  return { root, format: "torch-legacy" };
}

/** Reads parts of a storage, which is the number of its elements (eight bytes) and then their bytes. */
function legacyReader(
  source: ByteSource,
  { key, count }: { readonly key: string; readonly count: number },
  starts: ReadonlyMap<string, number>,
): TorchStorage["read"] {
  return async (offset, length) => {
    const start = starts.get(key) ?? 0; // every storage has its start once the file is read
    const written = new DataView((await source.read(start, 8)).buffer).getBigInt64(0, true);
    if (written !== BigInt(count)) {
      throw new CheckpointError(`${source.name}: storage ${key} has ${written} elements, ${count} expected`, {
        hint: "The file is damaged. Get it again.",
      });
    }
    return source.read(start + 8 + offset, length);
  };
}

/** Part of a storage, `view` being (key, first element, number of elements). */
function viewOf(base: TorchStorage, view: PickleValue[], machine: PickleMachine): TorchStorage {
  const [, first, count] = view;
  const width = base.type === undefined ? 1 : ELEMENTS[base.type].bytes;
  if (!isSize(first) || !isSize(count)) throw machine.refuse("a malformed view of a storage");
  const start = first * width;
  const size = count * width;
  if (start + size > base.size) throw machine.refuse("a view that exceeds its storage");
  return new TorchStorage({
    type: base.type,
    size,
    read: (offset, length) => base.read(start + offset, length),
  });
}

/** Checks `("storage", class, key, location, elements[, view])`; the device of the tensor does not matter here. */
function storageId(id: PickleValue, machine: PickleMachine) {
  const [tag, kind, key, , count, view] = Array.isArray(id) ? id : [];
  if (tag !== "storage" || !isStorageClass(kind) || typeof key !== "string" || !isSize(count)) {
    throw machine.refuse("a malformed reference to a storage");
  }
  const type = elementTypeOf(kind);
  if (type === undefined && !isUntyped(kind)) throw unsupported(kind, machine);
  const size = count * (type === undefined ? 1 : ELEMENTS[type].bytes);
  return { key, type, count, size, view: Array.isArray(view) ? view : undefined };
}

/** A tensor pickled directly holds its storage as the bytes of a legacy file. */
const globals = torchGlobals((bytes, machine) => {
  const depth = (machine.environment.depth ?? 0) + 1;
  if (depth > 1) throw machine.refuse("a storage nested in a storage");
  const { root, format } = runPickles(bytesSource(machine.environment.source, bytes), bytes, depth);
  if (format !== "torch-legacy" || !(root instanceof TorchStorage))
    throw machine.refuse("bytes that are not a storage");
  return root;
});
