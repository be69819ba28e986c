/** A cursor over the bytes of a pickle: numbers, text and lines. */
import { CheckpointError } from "../../errors.js";

/** The bytes ended before the pickle did. */
export class PickleEndError extends CheckpointError {}

/** Bytes, or digits in protocol 0, of the longest integer. No checkpoint has one nearly as long. */
const maxIntegerLength = 1000;

/** Reads `bytes` of the file `source` from `position` on. All methods throw `PickleEndError` at the end. */
export class PickleReader {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #source: string;

  constructor(bytes: Uint8Array, source: string, position: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#source = source;
    this.position = position;
  }

  /** Skips `count` bytes and returns the position before them. */
  skip(count: number): number {
    const at = this.position;
    if (!Number.isSafeInteger(count) || at + count > this.#bytes.length) {
      throw new PickleEndError(`${this.#source}: the file ends in the middle of its pickle`, {
        hint: "The file is truncated or damaged. Get it again.",
      });
    }
    this.position = at + count;
    return at;
  }

  /** The next `count` bytes, as a view. */
  take(count: number): Uint8Array {
    const at = this.skip(count);
    return this.#bytes.subarray(at, at + count);
  }

  u8(): number {
    return this.#view.getUint8(this.skip(1));
  }

  u16(): number {
    return this.#view.getUint16(this.skip(2), true);
  }

  i32(): number {
    return this.#view.getInt32(this.skip(4), true);
  }

  u32(): number {
    return this.#view.getUint32(this.skip(4), true);
  }

  /** A length: 64 bits, exact as far as any file reaches. */
  u64(): number {
    return Number(this.#view.getBigUint64(this.skip(8), true));
  }

  /** Unlike everything else, floats are big-endian. */
  f64(): number {
    return this.#view.getFloat64(this.skip(8), false);
  }

  utf8(length: number): string {
    return new TextDecoder().decode(this.take(length));
  }

  latin1(length: number): string {
    return new TextDecoder("latin1").decode(this.take(length));
  }

  /** Text up to the next newline, which is skipped. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    const text = this.latin1((end < 0 ? this.#bytes.length : end) - this.position);
    this.skip(1);
    return text;
  }

  /** A line with `\uXXXX` escapes. */
  escapedLine(): string {
    const decode = (_: string, hex: string) => String.fromCharCode(Number.parseInt(hex, 16));
    return this.line().replace(/\\u([0-9a-fA-F]{4})/g, decode);
  }

  /** A line with an integer, or with `00` or `01` for a boolean. */
  integerOrBooleanLine(): number | bigint | boolean {
    const text = this.line();
    return text === "00" || text === "01" ? text === "01" : this.#integer(text);
  }

  /** A line with an integer and perhaps an `L`. */
  longLine(): number | bigint {
    return this.#integer(this.line().replace(/L$/, ""));
  }

  /** A little-endian integer of `length` bytes in two's complement. */
  long(length: number): number | bigint {
    if (length > maxIntegerLength) throw this.#badInteger();
    const bytes = this.take(length);
    let value = 0n;
    for (const byte of bytes.toReversed()) value = (value << 8n) | BigInt(byte);
    return narrow(BigInt.asIntN(8 * length, value));
  }

  #integer(text: string): number | bigint {
    if (text.length > maxIntegerLength || !/^-?\d+$/.test(text)) throw this.#badInteger();
    return narrow(BigInt(text));
  }

  #badInteger(): CheckpointError {
    return new CheckpointError(
      `${this.#source}: not a valid pickle: an integer is malformed or far too long`,
      { hint: "The file is damaged. Get it again." },
    );
  }
}

/** The integer as a number where that is exact. */
function narrow(value: bigint): number | bigint {
  const exact = BigInt.asIntN(54, value) === value && Number.isSafeInteger(Number(value));
  return exact ? Number(value) : value;
}
