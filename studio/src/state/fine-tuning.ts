/** Fine-tunings of the local server: their list, and the curves of the one that is shown. */
import { computed, signal } from "@preact/signals";
import type { Curve, FineTuneJob } from "avseg/studio";
import { listFineTunings, moveFineTuning, startFineTuning } from "../engine/fine-tuning-server";
import { runLog, upload } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";
import { openRequestOf } from "../engine/native-engine";
import { exportDataset } from "../media/reader";
import { correctedClips } from "./corrected-clips";
import { chosenModel, openModel } from "./engine";
import type { Item } from "./library";
import { page } from "./page";
import { dialog } from "./settings";

/** How often the list is asked for while the panel "Correct" is open. */
const intervalMs = 1000;

/** All of them, the newest first; `undefined` before the first answer. */
export const jobs = signal<readonly FineTuneJob[] | undefined>(undefined);

/** The id of the one that is shown; `undefined` for a new one. */
export const shownId = signal<string | undefined>(undefined);

/** The one that is shown. */
export const shownJob = computed(() => jobs.value?.find(({ id }) => id === shownId.value));

/** The curves of the one that is shown. */
export const curves = signal<readonly Curve[]>([]);

/** Why the newest request failed. */
export const failure = signal<Failure | undefined>(undefined);

/** Whether a request to start, stop or resume is being answered. */
export const isAsking = signal(false);

/** Whether a process is at work. */
export function isRunning({ state }: FineTuneJob): boolean {
  return state === "before" || state === "training" || state === "after" || state === "stopping";
}

/** Opens the dialog, for a new one or for a known one. */
export function show(id?: string): void {
  shownId.value = id;
  curves.value = [];
  failure.value = undefined;
  dialog.value = "fine-tune";
}

let watchers = 0;
let stop = new AbortController();
let timer: number | undefined;
let isLoading = false;
/** The fine-tuning and the epoch up to which `curves` are. */
let curvesOf = "";

/** Keeps the list and the curves up to date until the returned function is called. */
export function watchFineTunings(): () => void {
  watchers++;
  if (watchers === 1) {
    stop = new AbortController();
    timer = window.setInterval(() => document.hidden || void load(stop.signal), intervalMs);
  }
  void load(stop.signal);
  return () => {
    watchers--;
    if (watchers > 0) return;
    clearInterval(timer);
    stop.abort();
  };
}

async function load(stopped: AbortSignal): Promise<void> {
  if (isLoading) return;
  isLoading = true;
  try {
    jobs.value = await listFineTunings(stopped);
    const job = shownJob.value;
    const version = job ? `${job.id} ${job.epoch}` : "";
    if (job && job.epoch > 0 && (version !== curvesOf || curves.value.length === 0)) {
      const log = await runLog(job.id, stopped);
      if (shownId.value === job.id) curves.value = log.curves;
      curvesOf = version;
    }
  } catch (error) {
    if (!stopped.aborted) failure.value = failureOf(error);
  } finally {
    isLoading = false;
  }
}

/** What a user chooses of a fine-tuning. */
export interface FineTuneChoice {
  readonly epochs: number;
  /** The learning rate as a fraction of the one that the model was trained with. */
  readonly rateFraction: number;
}

/** Fine-tunes the open model on the corrections of a video. */
export function start(item: Item, choice: FineTuneChoice): Promise<void> {
  return asking(async () => {
    const { source, name } = chosenModel();
    const zip = await exportDataset(correctedClips(item, { holdsOut: false }), {});
    if (!zip) throw new Error("no dataset was made");
    const { width = 1, height = 1 } = item.facts.value ?? {};
    return startFineTuning({
      model: await openRequestOf(source),
      modelName: name,
      dataset: await upload(zip),
      name: item.name,
      aspect: width / height,
      ...choice,
    });
  });
}

/** Stops a fine-tuning, or continues it. */
export function move(job: FineTuneJob, to: "stop" | "resume"): Promise<void> {
  return asking(() => moveFineTuning(job.id, to));
}

/** Uses the model that a fine-tuning made in place of the open one. */
export function openNewModel({ id, name }: FineTuneJob): Promise<void> {
  dialog.value = undefined;
  page.value = "videos";
  return openModel({ kind: "run", run: id }, name);
}

async function asking(request: () => Promise<FineTuneJob>): Promise<void> {
  isAsking.value = true;
  failure.value = undefined;
  try {
    const job = await request();
    const others = (jobs.value ?? []).filter(({ id }) => id !== job.id);
    jobs.value = [job, ...others].sort((a, b) => b.started - a.started);
    shownId.value = job.id;
  } catch (error) {
    failure.value = failureOf(error);
  } finally {
    isAsking.value = false;
  }
}
