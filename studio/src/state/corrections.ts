/** Masks that a person has corrected, with what was undone. */

import { signal } from "@preact/signals";
import { labelsOf, type Runs, runsOf, type Step } from "avseg/studio";
import { type LabelMap, type Size, scaleLabels, within } from "../masks/labels";
import type { Item } from "./library";

/** The longer side of corrected masks: datasets keep 224 pixels. */
const maxSide = 640;

/** A mask in few bytes: every stroke leaves one behind. */
interface Kept extends Size {
  readonly runs: Runs;
}

interface History {
  readonly past: Kept[];
  readonly future: Kept[];
  present: Kept;
}

const histories = new WeakMap<Item, Map<number, History>>();

/** Counts changes, so that what shows corrections is drawn again. */
export const changes = signal(0);

function historyOf(item: Item): Map<number, History> {
  const known = histories.get(item) ?? new Map<number, History>();
  histories.set(item, known);
  return known;
}

/** The mask of a second: corrected, or as the model found it. */
export function maskOf(item: Item, step: Step): LabelMap {
  const kept = historyOf(item).get(step.index)?.present;
  return kept ? mapOf(kept) : modelMask(step);
}

function modelMask({ mask }: Step): LabelMap {
  return scaleLabels(mapOf(mask), within(maxSide, mask.width, mask.height));
}

function mapOf({ width, height, runs }: Kept): LabelMap {
  return { width, height, labels: labelsOf(runs, width * height) };
}

function keptOf({ width, height, labels }: LabelMap): Kept {
  return { width, height, runs: runsOf(labels) };
}

/** Replaces a second's mask; the one before can be brought back. */
export function correct(item: Item, step: Step, change: LabelMap): void {
  const all = historyOf(item);
  const known = all.get(step.index) ?? { past: [], future: [], present: keptOf(modelMask(step)) };
  known.past.push(known.present);
  known.future.length = 0;
  known.present = keptOf(change);
  all.set(step.index, known);
  changes.value++;
}

/** Goes one change back or forward. */
export function move(item: Item, index: number, direction: "undo" | "redo"): void {
  const known = historyOf(item).get(index);
  if (!known) return;
  const [from, to] = direction === "undo" ? [known.past, known.future] : [known.future, known.past];
  const next = from.pop();
  if (!next) return;
  to.push(known.present);
  known.present = next;
  changes.value++;
}

/** Whether there is something to undo or redo in a second. */
export function canMove(item: Item, index: number): { readonly undo: boolean; readonly redo: boolean } {
  const known = historyOf(item).get(index);
  return { undo: (known?.past.length ?? 0) > 0, redo: (known?.future.length ?? 0) > 0 };
}

/** The seconds that were corrected, in order. */
export function correctedSeconds(item: Item): number[] {
  const all = [...historyOf(item)].filter(([, { past }]) => past.length > 0);
  return all.map(([index]) => index).sort((a, b) => a - b);
}
