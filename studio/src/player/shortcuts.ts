/** What the keyboard does, as one table: the keys work by it, and the dialog lists it. */
import { looks } from "../masks/compose";
import {
  changeSpeed,
  player,
  seek,
  seekBy,
  stepFrames,
  toggleLoop,
  toggleMuted,
  togglePlay,
} from "../state/player";
import { chooseLook, dialog } from "../state/settings";

/** One line of the table. */
export interface Shortcut {
  /** Values of `KeyboardEvent.key` that do it. */
  readonly keys: readonly string[];
  /** The keys as people know them. */
  readonly shown: string;
  readonly what: string;
  readonly run: (key: string) => void;
}

/** All shortcuts. */
export const shortcuts: readonly Shortcut[] = [
  { keys: [" ", "k"], shown: "Space", what: "Play or pause", run: togglePlay },
  { keys: ["ArrowLeft"], shown: "←", what: "One second back", run: () => seekBy(-1) },
  { keys: ["ArrowRight"], shown: "→", what: "One second forward", run: () => seekBy(1) },
  { keys: [","], shown: ",", what: "One frame back", run: () => stepFrames(-1) },
  { keys: ["."], shown: ".", what: "One frame forward", run: () => stepFrames(1) },
  { keys: ["Home"], shown: "Home", what: "To the start", run: () => seek(0) },
  { keys: ["End"], shown: "End", what: "To the end", run: () => seek(player.duration.value) },
  { keys: ["-"], shown: "−", what: "Slower", run: () => changeSpeed(-1) },
  { keys: ["+", "="], shown: "+", what: "Faster", run: () => changeSpeed(1) },
  { keys: ["l"], shown: "L", what: "Loop", run: toggleLoop },
  { keys: ["m"], shown: "M", what: "Mute", run: toggleMuted },
  {
    keys: looks.map((_, i) => String(i + 1)),
    shown: `1 – ${looks.length}`,
    what: "Choose a look",
    run: (key) => {
      const look = looks[Number(key) - 1];
      if (look) chooseLook(look.id);
    },
  },
  {
    keys: ["?"],
    shown: "?",
    what: "Show this list",
    run: () => {
      dialog.value = "shortcuts";
    },
  },
];

/** Elements that use these keys themselves. */
const ownKeys = "input, select, textarea, button, a, [role=slider], [role=application], dialog";

/** Listens to the keyboard; returns what ends it. */
export function listenToKeys(): () => void {
  const onKey = (event: KeyboardEvent): void => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.value !== undefined) return;
    const shortcut = shortcuts.find(({ keys }) => keys.includes(event.key));
    if (!shortcut) return;
    const focused = event.target instanceof Element ? event.target.closest(ownKeys) : null;
    const usesIt =
      event.key === " " || event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End";
    if (focused?.matches("input:not([type=range]), select, textarea") || (focused && usesIt)) return;
    event.preventDefault();
    shortcut.run(event.key);
  };
  addEventListener("keydown", onKey);
  return () => removeEventListener("keydown", onKey);
}
