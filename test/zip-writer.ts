/** Writes zip archives, in the forms that PyTorch writes and in wrong ones. */
import { deflateRawSync } from "node:zlib";
import { crc32 } from "../src/weights/torch/crc32.js";

/** How an archive is written. */
export interface ZipOptions {
  readonly deflate?: boolean | undefined;
  readonly zip64?: boolean | undefined;
  /** Writes 0 for all checksums, as PyTorch does after `torch.serialization.set_crc32_options(False)`. */
  readonly unchecked?: boolean | undefined;
  /** Overrides the size that the directory declares for entry `name`. */
  readonly claim?: { readonly name: string; readonly size: number } | undefined;
}

/** A zip archive of `files` by name. */
export function zip(
  files: Readonly<Record<string, Uint8Array>>,
  { deflate = false, zip64 = false, unchecked = false, claim }: ZipOptions = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of Object.entries(files)) {
    const packed = deflate ? deflateRawSync(bytes) : Buffer.from(bytes);
    const size = claim?.name === name ? claim.size : bytes.length;
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(deflate ? 8 : 0, 10);
    central.writeUInt32LE(unchecked ? 0 : crc32(bytes), 16);
    central.writeUInt32LE(zip64 ? 0xffffffff : packed.length, 20);
    central.writeUInt32LE(zip64 ? 0xffffffff : size, 24);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(zip64 ? 0xffffffff : offset, 42);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      for (const [i, n] of [size, packed.length, offset].entries())
        extra.writeBigUInt64LE(BigInt(n), 4 + 8 * i);
    }
    directory.push(Buffer.concat([central, Buffer.from(name, "latin1"), extra]));
    parts.push(local, Buffer.from(name, "latin1"), packed);
    offset += 30 + name.length + packed.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(zip64 ? 0xffffffff : central.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : offset, 16);
  const end64 = Buffer.alloc(zip64 ? 76 : 0);
  if (zip64) {
    end64.writeUInt32LE(0x06064b50, 0);
    end64.writeBigUInt64LE(BigInt(central.length), 40);
    end64.writeBigUInt64LE(BigInt(offset), 48);
    end64.writeUInt32LE(0x07064b50, 56);
    end64.writeBigUInt64LE(BigInt(offset + central.length), 64);
  }
  return Buffer.concat([...parts, central, end64, end]);
}
