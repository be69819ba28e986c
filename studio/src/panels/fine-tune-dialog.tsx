/** Fine-tuning on corrected clips: its settings, its curves, and the masks before and after it. */
import { signal } from "@preact/signals";
import type { FineTuneJob } from "avseg/studio";
import { useEffect } from "preact/hooks";
import { Choice, Problem } from "../parts/controls";
import { Modal } from "../parts/modal";
import { correctedSeconds } from "../state/corrections";
import { chosenModel } from "../state/engine";
import {
  curves,
  failure,
  isAsking,
  isRunning,
  jobs,
  move,
  openNewModel,
  shownId,
  shownJob,
  start,
  watchFineTunings,
} from "../state/fine-tuning";
import { type Item, selected } from "../state/library";
import { ComparedMasks } from "./compared-masks";
import { canResume, progressOf } from "./fine-tune-section";
import { Chart } from "./runs-chart";
import "../style/runs.css";
import "../style/fine-tune.css";

/** How long it trains. */
const lengths = [
  { id: "10", label: "Short, 10 epochs" },
  { id: "30", label: "Normal, 30 epochs" },
  { id: "100", label: "Long, 100 epochs" },
] as const;
const length = signal<(typeof lengths)[number]["id"]>("30");

/** How much each step changes. */
const rates = [
  { id: "careful", label: "Careful", fraction: 1 / 10 },
  { id: "normal", label: "Normal", fraction: 1 / 3 },
  { id: "bold", label: "Bold", fraction: 1 },
] as const;
const rate = signal<(typeof rates)[number]["id"]>("normal");

/** The dialog. */
export function FineTuneDialog() {
  useEffect(watchFineTunings, []);
  const item = selected.value;
  const job = shownJob.value;
  return (
    <Modal title="Fine-tune" wide>
      <div class="fine-tune">
        {job ? <Job job={job} /> : item && shownId.value === undefined && <Settings item={item} />}
        {failure.value && <Problem {...failure.value} />}
      </div>
    </Modal>
  );
}

function Settings({ item }: { item: Item }) {
  const seconds = correctedSeconds(item);
  const running = jobs.value?.find(isRunning);
  return (
    <>
      <p class="lead">
        {chosenModel().name} learns from {seconds.length} corrected{" "}
        {seconds.length === 1 ? "second" : "seconds"} of {item.name}. It learns each five seconds around them
        as they are now, so correct what is wrong there first.
      </p>
      <Choice
        label="How long"
        options={lengths}
        columns={3}
        value={length.value}
        onChange={(id) => {
          length.value = id;
        }}
      />
      <Choice
        label="Changes per step"
        options={rates}
        columns={3}
        value={rate.value}
        onChange={(id) => {
          rate.value = id;
        }}
      />
      <p class="note">
        The learning rate is a tenth, a third or all of the one that the model was trained with. The model
        itself stays as it is: a new one is made.
      </p>
      {running && <p class="note">Another fine-tuning runs: {progressOf(running)}.</p>}
      <button
        type="button"
        class="button primary"
        disabled={isAsking.value || running !== undefined || seconds.length === 0}
        onClick={() => start(item, choice())}
      >
        {isAsking.value ? "Sending the clips …" : "Start"}
      </button>
    </>
  );
}

function choice() {
  const rateFraction = rates.find(({ id }) => id === rate.value)?.fraction ?? 1 / 3;
  return { epochs: Number(length.value), rateFraction };
}

function Job({ job }: { job: FineTuneJob }) {
  const { state, epoch, epochs, before, after, modelName, name } = job;
  const facts: [string, string][] = [
    ["Model", modelName],
    ["mIoU before", before?.toFixed(3) ?? "–"],
    ["mIoU after", after?.toFixed(3) ?? "–"],
  ];
  const shownCharts = (
    <div key="charts" class="charts">
      {charts.map(({ curve, title }) => {
        const points = curves.value.find((known) => known.name === curve)?.points ?? [];
        return points.length > 0 && <Chart key={curve} title={title} lines={[{ name, color: 0, points }]} />;
      })}
    </div>
  );
  const compared = before !== undefined && <ComparedMasks key={job.id} job={job} />;
  const isIndefinite = state === "before" || state === "after";
  return (
    <>
      <p class="lead" role="status">
        {progressOf(job)}.
      </p>
      {isRunning(job) && (
        <progress
          max={epochs}
          value={isIndefinite ? undefined : epoch}
          aria-label={isIndefinite ? "Evaluation" : "Finished epochs"}
        />
      )}
      <div class="run">
        {isRunning(job) && (
          <button
            type="button"
            class="button"
            disabled={state === "stopping" || isAsking.value}
            onClick={() => move(job, "stop")}
          >
            Stop
          </button>
        )}
        {canResume(job) && (
          <button
            type="button"
            class="button primary"
            disabled={isAsking.value}
            onClick={() => move(job, "resume")}
          >
            Resume
          </button>
        )}
        {state === "done" && (
          <button type="button" class="button primary" onClick={() => openNewModel(job)}>
            Open the new model
          </button>
        )}
      </div>
      {job.error && <Problem message={job.error} hint={job.hint} />}
      <dl class="facts">
        {facts.map(([term, value]) => (
          <div key={term}>
            <dt>{term}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {state === "done" ? [compared, shownCharts] : [shownCharts, compared]}
      <p class="note">
        Measured on the clips that it learns from; on other videos the new model can be better or worse.
        Everything lies in the folder {name} of the training runs.
      </p>
    </>
  );
}

const charts = [
  { curve: "epoch.validation.miou", title: "mIoU on the clips" },
  { curve: "epoch.loss", title: "Loss" },
] as const;
