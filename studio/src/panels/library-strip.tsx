/** The opened videos as a strip. */
import { bytes, clock } from "../format";
import { Bitmap } from "../parts/bitmap";
import { FileButton, IconButton } from "../parts/controls";
import { Icon } from "../parts/icon";
import { addFiles, type Item, items, remove, select, selected } from "../state/library";

/** Files that can be videos, for the file chooser. */
export const videoFiles = "video/*,.mkv,.mov,.ts,.avi,.wmv,.flv,.mxf";

/** The strip. */
export function LibraryStrip() {
  return (
    <nav class="library" aria-label="Videos">
      <FileButton accept={videoFiles} multiple primary onFiles={addFiles}>
        <Icon name="add" /> Add videos
      </FileButton>
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
  const { status, count } = item.result;
  const state = {
    idle: "",
    running: `${count.value} s found`,
    done: "done",
    canceled: "stopped",
    failed: "failed",
  };
  return (
    <li>
      <button type="button" class="entry" aria-current={selected.value === item} onClick={() => select(item)}>
        <Bitmap picture={item.thumbnail.value} />
        <span class="entry-name">{item.name}</span>
        <span class="entry-facts">
          {item.copying.value
            ? "being decoded"
            : item.problem.value
              ? "cannot be opened"
              : facts
                ? `${clock(facts.durationSeconds)} · ${bytes(facts.bytes)}`
                : "reading"}
          {state[status.value] && ` · ${state[status.value]}`}
        </span>
      </button>
      <IconButton icon="close" label={`Close ${item.name}`} onClick={() => remove(item)} />
    </li>
  );
}
