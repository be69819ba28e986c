/** Correcting masks, and keeping them as a dataset to train on. */
import { signal } from "@preact/signals";
import { type Failure, failureOf } from "../engine/messages";
import { percent } from "../format";
import { exportDataset } from "../media/reader";
import { Choice, IconButton, Problem, Slider } from "../parts/controls";
import { brushSize, currentStep, tool, tools } from "../player/editor";
import { canMove, changes, correctedSeconds, maskOf, move } from "../state/corrections";
import type { Item } from "../state/library";
import { seek } from "../state/player";
import { download } from "./export-panel";

const failure = signal<Failure | undefined>(undefined);
const busy = signal(false);
/** Seconds of a clip of AVSBench. */
const clipSeconds = 5;

/** The panel "Correct". */
export function CorrectPanel({ item }: { item: Item }) {
  void changes.value;
  const step = currentStep(item);
  const corrected = correctedSeconds(item);
  const can = canMove(item, step?.index ?? 0);
  const go = (by: number): void => seek((step?.index ?? 0) + by + 0.5);
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
      <Slider
        label="Size"
        value={brushSize.value}
        min={0.005}
        max={0.12}
        step={0.005}
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
          <IconButton icon="back" label="Second before" onClick={() => go(-1)} />
          <IconButton icon="forward" label="Second after" onClick={() => go(1)} />
        </span>
      </div>
      <p class="note" role="status">
        {corrected.length === 0 ? "Nothing is corrected yet." : `Corrected seconds: ${corrected.join(", ")}.`}
      </p>
      <button
        type="button"
        class="button primary"
        disabled={corrected.length === 0 || busy.value}
        onClick={() => save(item)}
      >
        Save as a dataset
      </button>
      <p class="note">
        A zip in AVSBench's layout (MS3): each five seconds with a correction are a clip, and the last of
        several is for validation. Unpack it, check it with <code>avseg data check ms3 FOLDER</code>, and
        train on it with <code>avseg train ms3</code>.
      </p>
      {failure.value && <Problem {...failure.value} />}
    </>
  );
}

async function save(item: Item): Promise<void> {
  busy.value = true;
  failure.value = undefined;
  try {
    const { steps } = item.result;
    const starts = [
      ...new Set(
        correctedSeconds(item).map((second) =>
          Math.max(0, Math.min(Math.floor(second / clipSeconds) * clipSeconds, steps.length - clipSeconds)),
        ),
      ),
    ];
    if (steps.length < clipSeconds)
      throw new Error(`A clip needs ${clipSeconds} seconds; this video has ${steps.length}.`);
    const clips = starts.map((start) => ({
      start,
      masks: steps.slice(start, start + clipSeconds).map((step) => maskOf(item, step)),
      times: steps.slice(start, start + clipSeconds).map(({ timeSeconds }) => timeSeconds),
    }));
    download(await exportDataset({ file: item.file, clips }, {}));
  } catch (error) {
    failure.value = failureOf(error);
  } finally {
    busy.value = false;
  }
}
