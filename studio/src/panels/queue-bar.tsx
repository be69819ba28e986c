/** All opened videos, segmented one after another. */
import { duration } from "../format";
import { speed } from "../state/engine";
import { items } from "../state/library";
import { progress, queue, secondsUntil } from "../state/queue";
import { segmentAll, stopAll, unfinished } from "../state/segment-all";

/** The button that segments all, or how far that is. */
export function QueueBar() {
  if (queue.value.length < 2 && progress.value.count < 2) return <Start />;
  return queue.value.length > 0 ? <Running /> : <Start />;
}

function Start() {
  const count = unfinished.value.length;
  if (items.value.length < 2) return null;
  return (
    <button type="button" class="button" onClick={segmentAll}>
      {count > 0 ? `Segment all (${count})` : "Segment all again"}
    </button>
  );
}

function Running() {
  const { done, count, doneSeconds, totalSeconds } = progress.value;
  const left = secondsUntil(undefined, speed.value);
  return (
    <div class="queue">
      <progress max={totalSeconds || 1} value={doneSeconds} aria-label="Seconds of all videos segmented" />
      <span class="entry-facts">
        <span role="status">
          {done} of {count} done
        </span>
        {left !== undefined && left > 1 ? `, ${duration(left)} left` : ""}
      </span>
      <button type="button" class="button" onClick={stopAll}>
        Stop all
      </button>
    </div>
  );
}
