/** The opened videos as a strip. */
import { bytes, clock, duration } from "../format";
import { Bitmap } from "../parts/bitmap";
import { FileButton, IconButton } from "../parts/controls";
import { Icon } from "../parts/icon";
import { speed } from "../state/engine";
import { addFiles, type Item, items, remove, select, selected } from "../state/library";
import { secondsUntil } from "../state/queue";
import type { Result } from "../state/result";
import { QueueBar } from "./queue-bar";

/** Files that can be videos, for the file chooser. */
export const videoFiles = "video/*,.mkv,.mov,.ts,.avi,.wmv,.flv,.mxf";

/** The strip. */
export function LibraryStrip() {
  return (
    <nav class="library" aria-label="Videos">
      <FileButton accept={videoFiles} multiple primary onFiles={addFiles}>
        <Icon name="add" /> Add videos
      </FileButton>
      <QueueBar />
      <ul>
        {items.value.map((item) => (
          <Entry key={item.id} item={item} />
        ))}
      </ul>
      <p class="note">or drop them anywhere. Nothing leaves this computer.</p>
    </nav>
  );
}

function Entry({ item }: { item: Item }) {
  const facts = item.facts.value;
  const status = item.result.status.value;
  const failure = item.problem.value ?? item.result.failure.value?.message;
  const isQueued = status === "waiting" || status === "running";
  const kind = facts ? `${clock(facts.durationSeconds)} · ${bytes(facts.bytes)}` : "reading";
  return (
    <li>
      <button type="button" class="entry" aria-current={selected.value === item} onClick={() => select(item)}>
        <Bitmap picture={item.thumbnail.value} />
        <span class="entry-name">{item.name}</span>
        <span class="entry-facts">
          {item.copying.value ? "being decoded" : item.problem.value ? "cannot be opened" : kind}
        </span>
        <State result={item.result} />
        {failure && <span class="entry-failure">{failure}</span>}
      </button>
      {isQueued && (
        <IconButton icon="stop" label={`Stop segmenting ${item.name}`} onClick={() => item.result.cancel()} />
      )}
      <IconButton icon="close" label={`Close ${item.name}`} onClick={() => remove(item)} />
    </li>
  );
}

/** How far segmenting a video is. */
function State({ result }: { result: Result }) {
  const { status, doneSeconds, totalSeconds, remainingSeconds } = result;
  const total = totalSeconds.value;
  if (status.value === "running") {
    const left = remainingSeconds.value;
    return (
      <>
        <progress max={total ?? 1} value={doneSeconds.value} aria-label="Seconds segmented" />
        <span class="entry-facts">
          {doneSeconds.value.toFixed(0)} of {total?.toFixed(0) ?? "?"} s
          {left !== undefined && left > 1 ? `, ${duration(left)} left` : ""}
        </span>
      </>
    );
  }
  const until = status.value === "waiting" ? secondsUntil(result, speed.value) : undefined;
  const words = {
    idle: "",
    waiting: until === undefined ? "waiting" : `waiting, done in ${duration(until)}`,
    done: "done",
    canceled: "stopped",
    failed: "failed",
  };
  const text = words[status.value];
  return text ? <span class="entry-facts">{text}</span> : null;
}
