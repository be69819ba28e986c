/** The whole app: its bar, its page and its dialogs. */
import { isModelFileName } from "avseg/studio";
import { useEffect, useState } from "preact/hooks";
import { LivePage } from "./panels/live-page";
import { ModelDialog, openModelFiles } from "./panels/model-dialog";
import { SegmentPage } from "./panels/segment-page";
import { ShortcutsDialog } from "./panels/shortcuts-dialog";
import { IconButton } from "./parts/controls";
import { lazy } from "./parts/lazy";
import { listenToKeys } from "./player/shortcuts";
import { badge, model } from "./state/engine";
import { addFiles } from "./state/library";
import { page, pages } from "./state/page";
import { dialog, type Theme, theme } from "./state/settings";

/** The app. */
export function App() {
  useEffect(listenToKeys, []);
  const dropping = useDrop();
  return (
    <div class={dropping ? "app dropping" : "app"}>
      <TopBar />
      {page.value === "live" && <LivePage />}
      {page.value === "videos" && <SegmentPage />}
      {page.value === "runs" && <RunsPage />}
      {dialog.value === "model" && <ModelDialog />}
      {dialog.value === "shortcuts" && <ShortcutsDialog />}
      {dialog.value === "fine-tune" && <FineTuneDialog />}
    </div>
  );
}

/** The page of runs and fine-tuning are loaded when they are opened first. */
const RunsPage = lazy(() => import("./panels/runs-page").then((module) => module.RunsPage));
const FineTuneDialog = lazy(() =>
  import("./panels/fine-tune-dialog").then((module) => module.FineTuneDialog),
);

const nextTheme: Readonly<Record<Theme, Theme>> = { auto: "light", light: "dark", dark: "auto" };
const themeIcons = { auto: "auto", light: "sun", dark: "moon" } as const;

function TopBar() {
  return (
    <header class="top-bar">
      <span class="brand">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <path d="M3 10v4M7.5 6v12M12 3v18M16.5 7v10M21 10v4" />
        </svg>
        avseg <b>studio</b>
      </span>
      <nav class="pages" aria-label="Pages">
        {pages.map(({ id, label }) => (
          <button
            key={id}
            type="button"
            aria-current={page.value === id ? "page" : undefined}
            onClick={() => {
              page.value = id;
            }}
          >
            {label}
          </button>
        ))}
      </nav>
      <span class="spring" />
      <button
        type="button"
        class={model.failure.value ? "badge failed" : "badge"}
        onClick={() => {
          dialog.value = "model";
        }}
      >
        <span class="badge-model">{model.failure.value ? "Model failed" : model.name.value}</span>
        <span class="badge-engine">{badge.value}</span>
      </button>
      <IconButton
        icon="keys"
        label="Keyboard shortcuts"
        shortcut="?"
        onClick={() => {
          dialog.value = "shortcuts";
        }}
      />
      <IconButton
        icon={themeIcons[theme.value]}
        label={`Theme: ${theme.value}`}
        onClick={() => {
          theme.value = nextTheme[theme.value];
        }}
      />
    </header>
  );
}

/** Takes files that are dropped anywhere; true while some are held over the page. */
function useDrop(): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    const onOver = (event: DragEvent): void => {
      event.preventDefault();
      setOver(true);
    };
    const onLeave = (event: DragEvent): void => {
      if (event.relatedTarget === null) setOver(false);
    };
    const onDrop = (event: DragEvent): void => {
      event.preventDefault();
      setOver(false);
      const files = [...(event.dataTransfer?.files ?? [])];
      const models = files.filter(({ name }) => isModelFileName(name));
      const videos = files.filter(({ name }) => !isModelFileName(name));
      if (models.length > 0) openModelFiles(models);
      if (videos.length > 0) addFiles(videos);
    };
    addEventListener("dragover", onOver);
    addEventListener("dragleave", onLeave);
    addEventListener("drop", onDrop);
    return () => {
      removeEventListener("dragover", onOver);
      removeEventListener("dragleave", onLeave);
      removeEventListener("drop", onDrop);
    };
  }, []);
  return over;
}
