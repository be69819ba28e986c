/** Fine-tuning in the panel "Correct": how to start it, what runs, and earlier ones. */
import type { FineTuneJob } from "avseg/studio";
import { useEffect } from "preact/hooks";
import { hasServer } from "../engine/local-server";
import { duration } from "../format";
import { Problem } from "../parts/controls";
import { failure, isRunning, jobs, show, watchFineTunings } from "../state/fine-tuning";

/** Earlier ones that are listed. */
const maxListed = 5;

/** The section; `task` is that of the corrections. */
export function FineTuneSection({ task, disabled }: { task: "ms3" | "avss"; disabled: boolean }) {
  useEffect(() => (hasServer ? watchFineTunings() : undefined), []);
  if (!hasServer) return <HowTo task={task} />;
  const list = jobs.value ?? [];
  return (
    <section class="stack" aria-label="Fine-tuning">
      <h2 class="group">Teach the model</h2>
      <button type="button" class="button primary" disabled={disabled} onClick={() => show()}>
        Fine-tune …
      </button>
      <p class="note">Trains the open model on the corrections, on this computer.</p>
      {list.slice(0, maxListed).map((job) => (
        <button key={job.id} type="button" class="button tall" onClick={() => show(job.id)}>
          <span>{job.name.replace(/^.*\//, "")}</span>
          <small>{progressOf(job)}</small>
        </button>
      ))}
      {failure.value && <Problem {...failure.value} />}
    </section>
  );
}

function HowTo({ task }: { task: "ms3" | "avss" }) {
  return (
    <section class="stack" aria-label="Fine-tuning">
      <h2 class="group">Teach the model</h2>
      <p class="note">
        Start the app with <code>avseg studio</code> to fine-tune the open model on the corrections here. Or
        save them and run{" "}
        <code>
          avseg train {task} CONFIG --set data.root=FOLDER --set training.init=CHECKPOINT --set
          training.valSplit=train
        </code>
        .
      </p>
    </section>
  );
}

/** What a fine-tuning is doing, in a few words. */
export function progressOf(job: FineTuneJob): string {
  const { state, epoch, epochs, remainingSeconds, before, after } = job;
  const epochText = `epoch ${epoch} of ${epochs}`;
  switch (state) {
    case "before":
      return "Evaluating the model on the clips";
    case "training":
      return remainingSeconds === undefined
        ? `Training, ${epochText}`
        : `Training, ${epochText}, ${duration(remainingSeconds)} left`;
    case "after":
      return "Evaluating the new model on the clips";
    case "stopping":
      return `Stopping, ${epochText}`;
    case "stopped":
      return `Stopped, ${epochText}`;
    case "failed":
      return `Failed, ${epochText}`;
    case "done":
      return before === undefined || after === undefined
        ? "Done"
        : `Done: mIoU ${before.toFixed(3)} before, ${after.toFixed(3)} after`;
  }
}

/** Whether there is something to resume. */
export function canResume(job: FineTuneJob): boolean {
  return !isRunning(job) && job.state !== "done";
}
