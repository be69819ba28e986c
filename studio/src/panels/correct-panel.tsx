/** Correcting masks, and keeping them as a dataset to train on. */
import { signal } from "@preact/signals";
import type { Step } from "avseg/studio";
import { hasServer } from "../engine/local-server";
import { type Failure, failureOf } from "../engine/messages";
import { datasetName } from "../export/names";
import { percent } from "../format";
import { exportDataset } from "../media/reader";
import { Choice, IconButton, Problem, Slider } from "../parts/controls";
import {
  brushSize,
  brushSizes,
  chosenLabel,
  currentStep,
  goBy,
  labelOf,
  tool,
  tools,
} from "../player/editor";
import { correctedClips } from "../state/corrected-clips";
import { canMove, changes, correctedSeconds, move } from "../state/corrections";
import type { Item } from "../state/library";
import { download } from "./export-panel";
import { FineTuneSection } from "./fine-tune-section";

const failure = signal<Failure | undefined>(undefined);
const busy = signal(false);
const savedInto = signal("");

/** The panel "Correct". */
export function CorrectPanel({ item }: { item: Item }) {
  void changes.value;
  const step = currentStep(item);
  const corrected = correctedSeconds(item);
  const can = canMove(item, step?.index ?? 0);
  return (
    <>
      <p class="lead">
        Draw where it sounds. One mask belongs to each second; it starts as the model found it.
      </p>
      <Choice
        label="Tool"
        options={tools}
        columns={3}
        value={tool.value}
        onChange={(id) => {
          tool.value = id;
        }}
      />
      {step && item.result.labelNames.length > 2 && <ClassChoice item={item} step={step} />}
      <Slider
        label="Size"
        value={brushSize.value}
        {...brushSizes}
        text={percent(brushSize.value)}
        onInput={(value) => {
          brushSize.value = value;
        }}
      />
      <div class="row">
        <span>
          <IconButton
            icon="undo"
            label="Undo"
            disabled={!can.undo}
            onClick={() => step && move(item, step.index, "undo")}
          />
          <IconButton
            icon="redo"
            label="Redo"
            disabled={!can.redo}
            onClick={() => step && move(item, step.index, "redo")}
          />
        </span>
        <span>
          <IconButton icon="back" label="Second before" onClick={() => goBy(item, -1)} />
          <IconButton icon="forward" label="Second after" onClick={() => goBy(item, 1)} />
        </span>
      </div>
      <p class="note" role="status">
        {corrected.length === 0 ? "Nothing is corrected yet." : `Corrected seconds: ${corrected.join(", ")}.`}
      </p>
      <SaveButtons item={item} disabled={corrected.length === 0 || busy.value} />
      {failure.value && <Problem {...failure.value} />}
      <FineTuneSection task={taskOf(item)} disabled={corrected.length === 0} />
    </>
  );
}

/** The task of the dataset that the corrections become. */
function taskOf({ result }: Item): "ms3" | "avss" {
  return result.labelNames.length > 2 ? "avss" : "ms3";
}

/** What brush and polygon paint with a model that tells classes apart. */
function ClassChoice({ item, step }: { item: Item; step: Step }) {
  return (
    <label class="field">
      <span>Class</span>
      <select
        value={labelOf(item, step)}
        onChange={({ currentTarget }) => {
          chosenLabel.value = Number(currentTarget.value);
        }}
      >
        {item.result.labelNames.map((name, index) => index > 0 && <option value={index}>{name}</option>)}
      </select>
    </label>
  );
}

function SaveButtons({ item, disabled }: { item: Item; disabled: boolean }) {
  const task = taskOf(item);
  return (
    <>
      <button
        type="button"
        class={hasServer ? "button" : "button primary"}
        disabled={disabled}
        onClick={() => save(item)}
      >
        Save as a dataset
      </button>
      {canSaveIntoFolder && (
        <button type="button" class="button" disabled={disabled} onClick={() => saveIntoFolder(item)}>
          Save into a folder …
        </button>
      )}
      {savedInto.value && (
        <p class="note" role="status">
          Saved into the folder {savedInto.value}.
        </p>
      )}
      <p class="note">
        A zip or a folder in AVSBench's layout ({task.toUpperCase()}): each five seconds with a correction are
        a clip, and the last of several is for validation. Check it with{" "}
        <code>avseg data check {task} FOLDER</code>.
      </p>
    </>
  );
}

/** Browsers without it save zips only. */
const canSaveIntoFolder = typeof window.showDirectoryPicker === "function";

async function saveIntoFolder(item: Item): Promise<void> {
  let folder: FileSystemDirectoryHandle | undefined;
  try {
    folder = await window.showDirectoryPicker?.({ id: "datasets", mode: "readwrite" });
  } catch (error) {
    const isCanceled = error instanceof DOMException && error.name === "AbortError";
    if (!isCanceled) failure.value = failureOf(error);
    return;
  }
  if (!folder) return;
  await save(item, folder);
  if (!failure.value) savedInto.value = `${folder.name}/${datasetName(item.name)}`;
}

async function save(item: Item, folder?: FileSystemDirectoryHandle): Promise<void> {
  busy.value = true;
  failure.value = undefined;
  savedInto.value = "";
  try {
    const file = await exportDataset({ ...correctedClips(item, { holdsOut: true }), folder }, {});
    if (file) download(file);
  } catch (error) {
    failure.value = failureOf(error);
  } finally {
    busy.value = false;
  }
}
