/** The engine of the page, the opened model, and work with both. */

import { batch, computed, signal } from "@preact/signals";
import type { ModelFacts } from "avseg/studio";
import { EngineError, type Failure, failureOf, type ModelSource, type SoundChoice } from "../engine/messages";
import { NativeEngine } from "../engine/native-engine";
import { shippedModels } from "../engine/shipped-models";
import { TabEngine } from "../engine/tab-engine";
import type { Item } from "./library";
import { cancelQueue, type Place } from "./queue";
import type { Job, Result } from "./result";

/** Runs models in the tab. */
export const tabEngine = new TabEngine(new URL("model/", document.baseURI).href);

const nativeEngine = new NativeEngine();

/** What runs models: this tab, or this computer through the local server. */
export const engineId = signal<"tab" | "native">("tab");

/** The name of the model that the app opens first. */
export const smallModelName = shippedModels.small.name;

/** How the model is. */
export const model = {
  name: signal(smallModelName),
  facts: signal<ModelFacts | undefined>(undefined),
  loading: signal(false),
  /** Bytes read so far. */
  loaded: signal(0),
  failure: signal<Failure | undefined>(undefined),
};

/** Seconds of video per second of the latest work. */
export const speed = signal(0);

/** What the badge says. */
export const badge = computed(() => {
  const facts = model.facts.value;
  if (model.loading.value) return `loading ${(model.loaded.value / 1e6).toFixed(0)} MB`;
  if (!facts) return "no model";
  return speed.value > 0 ? `${facts.runsOn} · ${speed.value.toFixed(1)}× real time` : facts.runsOn;
});

let opening: Promise<void> = Promise.resolve();
let opened: { readonly source: ModelSource; readonly name: string } | undefined;

/** The model that was chosen last, and its name. */
export function chosenModel(): { readonly source: ModelSource; readonly name: string } {
  return opened ?? { source: { kind: "small" }, name: smallModelName };
}

/** Runs the same model on the other engine. */
export function chooseEngine(id: "tab" | "native"): Promise<void> {
  engineId.value = id;
  const { source, name } = chosenModel();
  // Runs and public models lie on this computer; the tab has the small model instead.
  const isElsewhere = id === "tab" && (source.kind === "run" || source.kind === "public");
  return isElsewhere ? openModel({ kind: "small" }, smallModelName) : openModel(source, name);
}

/** Opens a model in place of the present one; work with that one ends. */
export function openModel(source: ModelSource, name: string): Promise<void> {
  opened = { source, name };
  if (source.kind === "run" || source.kind === "public") engineId.value = "native";
  cancelQueue();
  opening = opening.then(async () => {
    batch(() => {
      model.loading.value = true;
      model.loaded.value = 0;
      model.failure.value = undefined;
      model.facts.value = undefined;
      speed.value = 0;
    });
    try {
      const onProgress = (done: number): void => {
        model.loaded.value = done;
      };
      const engine = engineId.value === "tab" ? tabEngine : nativeEngine;
      const facts = await engine.open(source, { onProgress });
      batch(() => {
        model.facts.value = facts;
        model.name.value = name;
      });
    } catch (error) {
      model.failure.value = failureOf(error);
    } finally {
      model.loading.value = false;
    }
  });
  return opening;
}

/** The model that was chosen last, once it is open. Throws `EngineError` where it could not be opened. */
export async function openedModel(): Promise<ModelFacts> {
  await opening;
  const facts = model.facts.value;
  if (facts) return facts;
  throw new EngineError({ message: "No model is open", hint: "Open one with the badge at the top." });
}

/** Which part of a video is segmented, and with which sound. */
export interface SegmentChoice {
  readonly sound: SoundChoice;
  readonly endSeconds?: number | undefined;
  /** Where it enters the queue. Default: "next". */
  readonly place?: Place | undefined;
}

/**
 * Segments a video into `result`, when the work before it has ended. Another sound than the video's own does not wait
 * in the tab, whose engine can do both at once.
 */
export async function segment(
  item: Item,
  result: Result,
  { sound, endSeconds, place = "next" }: SegmentChoice,
): Promise<void> {
  const end = endSeconds ?? Number.POSITIVE_INFINITY;
  const total = (): number | undefined => item.facts.value && Math.min(item.facts.value.durationSeconds, end);
  const begin = async (): Promise<Job> => {
    const [facts] = await Promise.all([openedModel(), item.opened]);
    const totalSeconds = total();
    if (totalSeconds === undefined) throw new Error(item.problem.value);
    const isTab = engineId.value === "tab";
    const request = { file: isTab ? item.file : item.source, name: item.name, sound, endSeconds };
    return {
      madeBy: model.name.value,
      model: facts,
      totalSeconds,
      steps: (work) => (isTab ? tabEngine : nativeEngine).segment(request, work),
    };
  };
  const waits = sound.kind === "own" || engineId.value === "native";
  await result.run(begin, { totalSeconds: total(), place: waits ? place : undefined });
  if (result.speed.value > 0) speed.value = result.speed.value;
}
