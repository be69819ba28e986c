/** OpenTTD's archives of sounds (`.cat`): a table of offsets and sizes, then a name and a WAV file for each sound. */
import { DatasetError } from "../../../errors.js";

/** The top bit of an offset marks the newer form of the format; the rest is the offset. */
const OFFSET_MASK = 0x7fffffff;

/** The WAV files of an archive in order. Throws `DatasetError` when it is damaged. */
export function readSoundArchive(bytes: Uint8Array, source: string): Uint8Array[] {
  const fail = (what: string): DatasetError =>
    new DatasetError(`${source}: ${what}`, { hint: "Download the package that holds the file again." });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 8) throw fail("expected an archive of sounds");
  const tableBytes = view.getUint32(0, true) & OFFSET_MASK;
  if (tableBytes % 8 !== 0 || tableBytes > bytes.length) throw fail("expected an archive of sounds");
  return Array.from({ length: tableBytes / 8 }, (_, i) => {
    const offset = view.getUint32(8 * i, true) & OFFSET_MASK;
    const size = view.getUint32(8 * i + 4, true);
    const start = offset + 1 + (bytes[offset] ?? 0);
    if (start + size > bytes.length) throw fail(`sound ${i} is longer than the archive`);
    return bytes.subarray(start, start + size);
  });
}
