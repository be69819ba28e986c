/** The videos that wait for the engine, which segments one after another. */
import { computed, signal } from "@preact/signals";
import type { Result } from "./result";

/** Where work enters the queue: at its end, or right after the work that runs now. */
export type Place = "last" | "next";

interface Turn {
  readonly result: Result;
  readonly begin: () => void;
}

const turns = signal<readonly Turn[]>([]);

/** The work in its order; the first runs. */
export const queue = computed(() => turns.value.map(({ result }) => result));

/** All work since the queue was last empty. */
const asked = signal<ReadonlySet<Result>>(new Set());

/** How far all work together is: in videos, and in seconds of them. */
export const progress = computed(() => {
  const sum = { done: 0, count: 0, doneSeconds: 0, totalSeconds: 0 };
  for (const { status, totalSeconds, doneSeconds } of asked.value) {
    const state = status.value;
    if (state === "idle" || state === "canceled") continue;
    const isOver = state === "done" || state === "failed";
    const total = totalSeconds.value ?? 0;
    sum.count++;
    sum.done += Number(isOver);
    sum.totalSeconds += total;
    sum.doneSeconds += isOver ? total : state === "running" ? doneSeconds.value : 0;
  }
  return sum;
});

/**
 * Waits until everything before `result` has ended, and returns what ends its own turn. Throws the signal's reason where
 * it is aborted before.
 */
export async function takeTurn(
  result: Result,
  { signal: stopped, place }: { signal: AbortSignal; place: Place },
): Promise<() => void> {
  stopped.throwIfAborted();
  let turn: Turn = { result, begin: () => undefined };
  const begun = new Promise<void>((resolve, reject) => {
    turn = { result, begin: resolve };
    stopped.addEventListener("abort", () => reject(stopped.reason), { once: true });
  });
  const [first, ...others] = turns.value;
  asked.value = new Set([...(first ? asked.value : []), result]);
  if (!first) turns.value = [turn];
  else turns.value = place === "next" ? [first, turn, ...others] : [first, ...others, turn];
  const end = (): void => {
    const wasFirst = turns.value[0] === turn;
    turns.value = turns.value.filter((other) => other !== turn);
    if (wasFirst) turns.value[0]?.begin();
  };
  if (!first) turn.begin();
  try {
    await begun;
    return end;
  } catch (error) {
    end();
    throw error;
  }
}

/** Ends all work; what is found stays. */
export function cancelQueue(): void {
  // From the end on, so that nothing begins in between.
  for (const result of queue.value.toReversed()) result.cancel();
}

/** Seconds until the work up to and including `last` is finished; `undefined` where that is not known. */
export function secondsUntil(last: Result | undefined, speed: number): number | undefined {
  let sum = 0;
  for (const result of queue.value) {
    const isRunning = result.status.value === "running";
    const total = result.totalSeconds.value;
    const own =
      (isRunning ? result.remainingSeconds.value : undefined) ??
      (total !== undefined && speed > 0 ? total / speed : undefined);
    if (own === undefined) return undefined;
    sum += own;
    if (result === last) break;
  }
  return sum;
}
