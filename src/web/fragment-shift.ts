/** What ffmpeg makes of fragmented MP4 files whose frames are shown before their decoding time. */

interface Box {
  readonly type: string;
  /** Of its content, in bytes. */
  readonly start: number;
  readonly end: number;
}

/** The box at `at`, or `undefined` where the bytes given end before it does. */
function boxAt(view: DataView, at: number, room = view.byteLength): Box | undefined {
  if (at + 8 > view.byteLength) return undefined;
  const type = String.fromCharCode(...[4, 5, 6, 7].map((i) => view.getUint8(at + i)));
  const size = view.getUint32(at);
  if (size !== 1) return { type, start: at + 8, end: size === 0 ? room : at + size };
  return at + 16 > view.byteLength
    ? undefined
    : { type, start: at + 16, end: at + Number(view.getBigUint64(at + 8)) };
}

function boxesIn(view: DataView, { start, end }: Pick<Box, "start" | "end">): Box[] {
  const boxes: Box[] = [];
  for (let at = start; at < end; ) {
    const box = boxAt(view, at);
    if (!box || box.end <= at || box.end > end) break;
    boxes.push(box);
    at = box.end;
  }
  return boxes;
}

/** The smallest composition offset of track `id` in one movie fragment; `undefined` where it is not in it. */
function smallestOffset(view: DataView, fragment: Box, id: number): number | undefined {
  for (const traf of boxesIn(view, fragment).filter(({ type }) => type === "traf")) {
    const parts = boxesIn(view, traf);
    const header = parts.find(({ type }) => type === "tfhd");
    if (!header || view.getUint32(header.start + 4) !== id) continue;
    const offsets = parts.filter(({ type }) => type === "trun").flatMap((run) => offsetsIn(view, run));
    return offsets.reduce((a, b) => Math.min(a, b), 0);
  }
  return undefined;
}

/** Composition offsets of a run of samples, none where it has none. */
function offsetsIn(view: DataView, { start, end }: Box): number[] {
  const flags = view.getUint32(start) & 0xffffff;
  if ((flags & 0x800) === 0) return [];
  const count = view.getUint32(start + 4);
  // Optional fields: two of the run; then per sample duration, size, flags and, last, the offset.
  const head = 8 + 4 * ((flags & 1) + ((flags >> 2) & 1));
  const perSample = 4 * (1 + ((flags >> 8) & 1) + ((flags >> 9) & 1) + ((flags >> 10) & 1));
  const room = Math.floor((end - start - head) / perSample);
  return Array.from({ length: Math.min(count, room) }, (_, i) =>
    view.getInt32(start + head + (i + 1) * perSample - 4),
  );
}

/**
 * How much later than browsers ffmpeg shows the frames of track `id` of an MP4 file, in units of the track; `undefined`
 * for a file that is not fragmented. In fragments ffmpeg adds the largest negative composition offset to all times.
 */
export async function fragmentShift(file: Blob, id: number): Promise<number | undefined> {
  let fragmented = false;
  for (let at = 0; at < file.size; ) {
    const head = new DataView(await file.slice(at, at + 16).arrayBuffer());
    const box = boxAt(head, 0, file.size - at);
    if (!box || box.end < box.start) break;
    if (box.type === "moof") {
      fragmented = true;
      const view = new DataView(await file.slice(at, at + box.end).arrayBuffer());
      const offset = box.end <= view.byteLength ? smallestOffset(view, box, id) : undefined;
      if (offset !== undefined) return Math.abs(offset);
    }
    at += box.end;
  }
  return fragmented ? 0 : undefined;
}
