/** The training runs of the local server's folder: their list, and the curves of those that are chosen. */
import { signal } from "@preact/signals";
import type { RunEvaluation, RunLogAnswer, RunSummary } from "avseg/studio";
import { listRuns, runEvaluations, runLog } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";

/** How often the list is asked for while the page is open. */
const intervalMs = 2000;
/** The most runs that one chart shows. */
export const maxChosen = 5;

/** What is known of a chosen run beside its summary. */
export interface RunDetails {
  /** The summary for which this was loaded. */
  readonly of: RunSummary;
  readonly log: RunLogAnswer;
  readonly evaluations: readonly RunEvaluation[];
}

/** The runs; `undefined` before the first answer. */
export const runs = signal<readonly RunSummary[] | undefined>(undefined);

/** Ids of the runs that are shown, in the order of their colors. */
export const chosen = signal<readonly string[]>([]);

/** Details by id. */
export const details = signal<ReadonlyMap<string, RunDetails>>(new Map());

/** Why the newest request failed. */
export const failure = signal<Failure | undefined>(undefined);

/** Shows or hides a run. */
export function toggle(id: string): void {
  const { value } = chosen;
  if (value.includes(id)) chosen.value = value.filter((other) => other !== id);
  else if (value.length < maxChosen) chosen.value = [...value, id];
  void update();
}

let stop: AbortController | undefined;
let updating: Promise<void> | undefined;

/** Keeps the list and the chosen runs up to date until the returned function is called. */
export function watchRuns(): () => void {
  const own = new AbortController();
  stop = own;
  void update();
  const timer = setInterval(() => document.hidden || updating || void update(), intervalMs);
  return () => {
    clearInterval(timer);
    own.abort();
  };
}

/** Asks for the list, and for what has changed in the chosen runs; one at a time. */
async function update(): Promise<void> {
  const signalOfPage = stop?.signal;
  if (!signalOfPage) return;
  await updating;
  if (signalOfPage.aborted) return;
  updating = load(signalOfPage).then(
    () => {
      failure.value = undefined;
    },
    (error: unknown) => {
      if (!signalOfPage.aborted) failure.value = failureOf(error);
    },
  );
  await updating;
  updating = undefined;
}

async function load(stopped: AbortSignal): Promise<void> {
  const list = await listRuns(stopped);
  const isFirst = !runs.value?.length;
  runs.value = list;
  const newest = list[0];
  if (isFirst && newest) chosen.value = [newest.id];
  for (const id of chosen.value) {
    const summary = list.find((run) => run.id === id);
    if (!summary || isSame(details.value.get(id)?.of, summary)) continue;
    const [log, evaluations] = await Promise.all([runLog(id, stopped), runEvaluations(id, stopped)]);
    details.value = new Map(details.value).set(id, { of: summary, log, evaluations });
  }
}

function isSame(known: RunSummary | undefined, now: RunSummary): boolean {
  return known?.modified === now.modified && known.bytes === now.bytes && known.evaluated === now.evaluated;
}
