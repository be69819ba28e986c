/** Files to take along. */
import { signal } from "@preact/signals";
import { type Failure, failureOf } from "../engine/messages";
import { type ExportKind, exportKinds } from "../export/requests";
import { bytes } from "../format";
import { exportFile } from "../media/reader";
import { Problem } from "../parts/controls";
import type { Item } from "../state/library";
import { controls, look } from "../state/settings";

const running = signal<ExportKind | undefined>(undefined);
const progress = signal(0);
const failure = signal<Failure | undefined>(undefined);
const saved = signal("");
let stop = new AbortController();

/** The panel "Export". */
export function ExportPanel({ item }: { item: Item }) {
  const ready = item.result.count.value > 0 && item.result.status.value !== "running";
  return (
    <>
      <p class="lead">Files are made on this computer, from what is found so far.</p>
      {!ready && <p class="note">Find what sounds first; then it can be exported.</p>}
      <div class="stack">
        {exportKinds.map(({ id, label, note }) => (
          <button
            key={id}
            type="button"
            class="button tall"
            disabled={!ready || running.value !== undefined}
            onClick={() => save(item, id)}
          >
            <span>{label}</span>
            <small>{note}</small>
          </button>
        ))}
      </div>
      {running.value && (
        <div class="stack" role="status">
          <progress max={1} value={progress.value} aria-label="Export" />
          <button type="button" class="button" onClick={() => stop.abort()}>
            Stop
          </button>
        </div>
      )}
      {saved.value && (
        <p class="note" role="status">
          {saved.value}
        </p>
      )}
      {failure.value && <Problem {...failure.value} />}
    </>
  );
}

async function save(item: Item, what: ExportKind): Promise<void> {
  const facts = item.facts.value;
  const { model } = item.result;
  if (!facts || !model) return;
  stop = new AbortController();
  running.value = what;
  progress.value = 0;
  failure.value = undefined;
  saved.value = "";
  try {
    const request = {
      what,
      file: item.file,
      facts,
      model,
      modelName: item.result.madeBy.value,
      steps: item.result.steps,
      look: look.value,
      controls: controls.value,
    };
    const onProgress = (done: number, total: number | undefined): void => {
      progress.value = total ? done / total : 0;
    };
    download(await exportFile(request, { signal: stop.signal, onProgress }));
  } catch (error) {
    if (!stop.signal.aborted) failure.value = failureOf(error);
  } finally {
    running.value = undefined;
  }
}

/** Hands a file to the browser's downloads. */
export function download(file: File): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = file.name;
  link.click();
  // The browser reads the file after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  saved.value = `Saved ${file.name}, ${bytes(file.size)}.`;
}
