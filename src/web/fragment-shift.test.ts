import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { referencePath } from "../../test/reference.js";
import { fragmentShift } from "./fragment-shift.js";

const words = (...values: readonly number[]) => {
  const bytes = new Uint8Array(4 * values.length);
  for (const [i, value] of values.entries()) new DataView(bytes.buffer).setInt32(4 * i, value);
  return bytes;
};
const box = (type: string, ...content: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> => {
  const size = content.reduce((n, part) => n + part.length, 8);
  const parts = [words(size), new TextEncoder().encode(type), ...content];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
};

/** A fragment of one track, its runs of samples as words. */
const fragment = (id: number, ...runs: readonly (readonly number[])[]) =>
  box(
    "moof",
    box("mfhd", words(0, 1)),
    box("traf", box("tfhd", words(0, id)), ...runs.map((run) => box("trun", words(...run)))),
  );

const start = [box("ftyp", words(0, 0)), box("moov", words(0))];

test("the largest negative offset of the track's first fragment counts", async () => {
  const other = fragment(1, [0x01000800, 1, -900]);
  // Runs with offsets only; with all other fields; without offsets.
  const sought = fragment(
    2,
    [0x01000800, 3, 0, 200, -100],
    [0x01000f05, 1, 7, 7, 1, 2, 3, -300],
    [0x200, 1, -5000],
  );
  const later = fragment(2, [0x01000800, 1, -400]);
  const file = new Blob([...start, other, box("mdat", words(1, 2, 3)), sought, later]);
  assert.equal(await fragmentShift(file, 2), 300);
  assert.equal(await fragmentShift(file, 1), 900);
  assert.equal(await fragmentShift(file, 3), 0);
});

test("files without fragments have none, damaged ones end the search", async () => {
  assert.equal(await fragmentShift(new Blob([...start, box("mdat", words(1))]), 1), undefined);
  assert.equal(await fragmentShift(new Blob([]), 1), undefined);
  assert.equal(await fragmentShift(new Blob([words(0, 0, 0)]), 1), undefined);
  const whole = fragment(1, [0x01000800, 1, -900]);
  assert.equal(await fragmentShift(new Blob([...start, whole.subarray(0, whole.length - 4)]), 1), 0);
  const lying = fragment(1, [0x01000800, 1_000_000_000, -900]);
  assert.equal(await fragmentShift(new Blob([...start, lying]), 1), 900);
});

test("a recording whose first frame ffmpeg shows at 83 ms", async () => {
  const file = referencePath("media", "rotate-buck-bunny.mp4");
  // In 1/57600 s.
  assert.equal(await fragmentShift(new Blob([await readFile(file)]), 1), 4800);
});
