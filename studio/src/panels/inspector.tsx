/** The panels beside the picture. */
import { signal } from "@preact/signals";
import type { Item } from "../state/library";
import { CorrectPanel } from "./correct-panel";
import { ExportPanel } from "./export-panel";
import { ListenPanel } from "./listen-panel";
import { LookPanel } from "./look-panel";

const tabs = [
  { id: "look", label: "Look" },
  { id: "listen", label: "Does it listen?" },
  { id: "correct", label: "Correct" },
  { id: "export", label: "Export" },
] as const;

/** The panel that is shown. */
export const tab = signal<(typeof tabs)[number]["id"]>("look");

/** Tabs and the chosen panel. */
export function Inspector({ item }: { item: Item }) {
  const onKeyDown = (event: KeyboardEvent): void => {
    const by = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const next = tabs[tabs.findIndex(({ id }) => id === tab.value) + by];
    if (by === 0 || !next) return;
    tab.value = next.id;
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <aside class="inspector" aria-label="Settings">
      <div class="tabs" role="tablist" aria-label="Panels" onKeyDown={onKeyDown}>
        {tabs.map(({ id, label }) => (
          <button
            key={id}
            id={`tab-${id}`}
            type="button"
            role="tab"
            aria-selected={tab.value === id}
            aria-controls="panel"
            tabIndex={tab.value === id ? 0 : -1}
            onClick={() => {
              tab.value = id;
            }}
          >
            {label}
          </button>
        ))}
      </div>
      <div id="panel" class="panel" role="tabpanel" aria-labelledby={`tab-${tab.value}`}>
        {tab.value === "look" && <LookPanel />}
        {tab.value === "correct" && <CorrectPanel item={item} />}
        {tab.value === "export" && <ExportPanel item={item} />}
        {tab.value === "listen" && <ListenPanel item={item} />}
      </div>
    </aside>
  );
}
