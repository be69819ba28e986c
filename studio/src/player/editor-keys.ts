/** What the keyboard does in the editor, as one table: the keys work by it, and the panel and the dialog list it. */
import type { Point } from "../masks/drawing";

/** A key press. */
type Press = Pick<KeyboardEvent, "key" | "ctrlKey" | "metaKey" | "altKey" | "shiftKey">;

const plain =
  (...keys: readonly string[]) =>
  ({ key, ctrlKey, metaKey, altKey }: Press): boolean =>
    !ctrlKey && !metaKey && !altKey && keys.includes(key);

const withControl =
  (shift: boolean, ...keys: readonly string[]) =>
  ({ key, ctrlKey, metaKey, altKey, shiftKey }: Press): boolean =>
    (ctrlKey || metaKey) && !altKey && shiftKey === shift && keys.includes(key.toLowerCase());

/** All keys of the editor. */
export const editorKeys = [
  {
    id: "move",
    shown: "← ↑ → ↓",
    what: "Move the cursor, with Shift in large steps",
    matches: plain("ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"),
  },
  { id: "mark", shown: "Space", what: "Paint or erase here, or set a corner", matches: plain(" ") },
  { id: "line", shown: "Enter", what: "Begin or end a line, or close the polygon", matches: plain("Enter") },
  { id: "leave", shown: "Esc", what: "Drop the line or the corners", matches: plain("Escape") },
  { id: "brush", shown: "B", what: "Brush", matches: plain("b") },
  { id: "eraser", shown: "E", what: "Eraser", matches: plain("e") },
  { id: "polygon", shown: "P", what: "Polygon", matches: plain("p") },
  { id: "smaller", shown: "[", what: "Smaller brush", matches: plain("[") },
  { id: "larger", shown: "]", what: "Larger brush", matches: plain("]") },
  { id: "before", shown: "Page Up", what: "Second before", matches: plain("PageUp") },
  { id: "after", shown: "Page Down", what: "Second after", matches: plain("PageDown") },
  { id: "undo", shown: "Ctrl Z", what: "Undo", matches: withControl(false, "z") },
  {
    id: "redo",
    shown: "Ctrl Shift Z",
    what: "Redo",
    matches: (press: Press) => withControl(true, "z")(press) || withControl(false, "y")(press),
  },
] as const;

const smallMove = 0.01;
const largeMove = 0.1;

/** Where the cursor is after a press of an arrow key, as fractions of the picture. */
export function cursorMove({ key, shiftKey }: Press, { x, y }: Point): Point {
  const by = shiftKey ? largeMove : smallMove;
  const inside = (value: number): number => Math.min(1, Math.max(0, value));
  if (key === "ArrowLeft") return { x: inside(x - by), y };
  if (key === "ArrowRight") return { x: inside(x + by), y };
  return key === "ArrowUp" ? { x, y: inside(y - by) } : { x, y: inside(y + by) };
}
