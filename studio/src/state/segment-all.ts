/** All videos of the library, segmented one after another. */
import { computed } from "@preact/signals";
import { model, segment } from "./engine";
import { type Item, items } from "./library";
import { cancelQueue, queue } from "./queue";

/** Videos that end this much before their stated length count as segmented to the end, in seconds. */
const toleranceSeconds = 0.5;

/** Videos that the opened model has not segmented to their end. */
export const unfinished = computed(() => items.value.filter(isUnfinished));

function isUnfinished({ facts, problem, result }: Item): boolean {
  if (problem.value !== undefined || facts.value?.obstacle !== undefined) return false;
  if (queue.value.includes(result)) return false;
  if (result.status.value !== "done" || result.madeBy.value !== model.name.value) return true;
  const segmented = (result.totalSeconds.value ?? 0) + toleranceSeconds;
  return segmented < (facts.value?.durationSeconds ?? 0);
}

let asked = new AbortController();

/** Segments the videos that are not finished, or all where all are. Those that are still being read follow. */
export function segmentAll(): void {
  const { signal } = asked;
  const chosen = unfinished.value.length > 0 ? unfinished.value : items.value;
  for (const item of chosen) {
    void item.opened.then((opened) => {
      if (signal.aborted || opened.isUndecodable || !items.value.includes(opened)) return;
      return segment(opened, opened.result, { sound: { kind: "own" }, place: "last" });
    });
  }
}

/** Ends all work; what is found stays. */
export function stopAll(): void {
  asked.abort(new DOMException("stopped", "AbortError"));
  asked = new AbortController();
  cancelQueue();
}
