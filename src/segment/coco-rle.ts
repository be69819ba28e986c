/**
 * Masks in the compressed run lengths of COCO, as `pycocotools.mask` reads them: lengths of runs of zeros and ones in
 * column-major order, each but the first three as the difference from the one two before, in pieces of five bits.
 */
import type { Mask, Region } from "./mask.js";

/** A mask as COCO's tools have it. */
export interface CocoRle {
  readonly size: readonly [height: number, width: number];
  readonly counts: string;
}

/** One region of one mask, as COCO's tools have it. */
export interface CocoAnnotation {
  readonly id: number;
  readonly image_id: number;
  readonly category_id: number;
  readonly segmentation: CocoRle;
  readonly area: number;
  readonly bbox: Region["box"];
  readonly iscrowd: 0;
  readonly score: number;
}

/** The regions of a mask, numbered from `firstId` on. */
export function cocoAnnotations(
  { index, mask }: { readonly index: number; readonly mask: Mask },
  firstId: number,
): CocoAnnotation[] {
  return mask.regions.map((region, i) => ({
    id: firstId + i,
    image_id: index,
    category_id: region.index,
    segmentation: cocoRle(mask, region.index),
    area: region.area,
    bbox: region.box,
    iscrowd: 0,
    score: Math.round(region.confidence * 1e4) / 1e4,
  }));
}

/** The pixels of one label. */
export function cocoRle(
  { width, height, labels }: Pick<Mask, "width" | "height" | "labels">,
  label: number,
): CocoRle {
  const counts: number[] = [];
  let current = false;
  let length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const marked = labels[y * width + x] === label;
      if (marked !== current) {
        counts.push(length);
        length = 0;
        current = marked;
      }
      length++;
    }
  }
  counts.push(length);
  return { size: [height, width], counts: compressed(counts) };
}

function compressed(counts: readonly number[]): string {
  let text = "";
  for (const [i, count] of counts.entries()) {
    let rest = i > 2 ? count - counts[i - 2]! : count;
    for (let more = true; more; ) {
      const piece = rest & 0x1f;
      rest >>= 5;
      // The fifth bit is the sign of what remains.
      more = (piece & 0x10) === 0 ? rest !== 0 : rest !== -1;
      text += String.fromCharCode(48 + (more ? piece | 0x20 : piece));
    }
  }
  return text;
}
