/** The frame of one second with its mask, to be drawn on with the pointer or with the keyboard. */
import { signal } from "@preact/signals";
import type { Step } from "avseg/studio";
import { maskToImageData } from "avseg/web";
import { useEffect, useRef, useState } from "preact/hooks";
import { fillPolygon, type Point, stroke } from "../masks/drawing";
import type { LabelMap } from "../masks/labels";
import { picturesOf } from "../media/reader";
import { changes, correct, maskOf, move } from "../state/corrections";
import type { Item } from "../state/library";
import { player, seek } from "../state/player";
import { cursorMove, editorKeys } from "./editor-keys";

/** What is drawn with. */
export const tools = [
  { id: "brush", label: "Brush" },
  { id: "eraser", label: "Eraser" },
  { id: "polygon", label: "Polygon" },
] as const;

/** The chosen tool, and the radius of brush and eraser as a fraction of the picture's width. */
export const tool = signal<(typeof tools)[number]["id"]>("brush");
export const brushSize = signal(0.03);
/** The smallest and the largest radius. */
export const brushSizes = { min: 0.005, max: 0.12, step: 0.005 };
/** The label that brush and polygon give, where it was chosen. */
export const chosenLabel = signal<number | undefined>(undefined);

/** The second at which the player is. */
export function currentStep(item: Item): Step | undefined {
  const { steps, count } = item.result;
  void count.value; // steps are appended to
  return steps[Math.min(steps.length - 1, Math.floor(player.time.value))];
}

/** The label that brush and polygon give: the chosen one, or that of the largest region. */
export function labelOf({ result }: Item, step: Step): number {
  const { value } = chosenLabel;
  if (value !== undefined && value < result.labelNames.length) return value;
  return step.mask.regions[0]?.index ?? 1;
}

/** Goes some seconds forward or back. */
export function goBy(item: Item, seconds: number): void {
  seek((currentStep(item)?.index ?? 0) + seconds + 0.5);
}

/** The editor. */
export function Editor({ item }: { item: Item }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const step = currentStep(item);
  const picture = usePicture(item, step);
  const [draft, setDraft] = useState<LabelMap>();
  const [corners, setCorners] = useState<readonly Point[]>([]);
  /** Where the keyboard draws, as fractions of the picture; `undefined` while the pointer is used. */
  const [cursor, setCursor] = useState<Point>();
  const [spoken, setSpoken] = useState("");
  const last = useRef<Point | undefined>(undefined);
  const count = changes.value;
  useEffect(() => setCorners([]), [step, tool.value]);
  useEffect(() => {
    if (!canvas.current || !picture || !step) return;
    const radius = tool.value === "polygon" ? 3 : brushSize.value * (draft ?? maskOf(item, step)).width;
    const { labelNames } = item.result;
    paint(canvas.current, picture, {
      ...{ map: draft ?? maskOf(item, step), labelNames, corners },
      cursor: cursor && { ...cursor, radius },
    });
  }, [picture, step, draft, corners, cursor, count, tool.value, brushSize.value]);
  if (!step) return <p class="note">Find what sounds first; then its masks can be corrected.</p>;
  const map = draft ?? maskOf(item, step);
  const at = ({ offsetX, offsetY }: PointerEvent): Point => {
    const box = canvas.current;
    if (!box) return { x: 0, y: 0 };
    // `object-fit: contain` leaves margins.
    const scale = Math.min(box.clientWidth / map.width, box.clientHeight / map.height);
    const left = (box.clientWidth - map.width * scale) / 2;
    const top = (box.clientHeight - map.height * scale) / 2;
    return { x: (offsetX - left) / scale, y: (offsetY - top) / scale };
  };
  const drawn = (from: Point, to: Point, base: LabelMap): LabelMap => {
    const label = tool.value === "brush" ? labelOf(item, step) : 0;
    return stroke(base, { from, to, radius: brushSize.value * map.width, label });
  };
  const finish = (): void => {
    last.current = undefined;
    if (draft) correct(item, step, draft);
    setDraft(undefined);
  };
  const close = (): void => {
    if (corners.length > 2) correct(item, step, fillPolygon(map, corners, labelOf(item, step)));
    setCorners([]);
  };
  const inPixels = ({ x, y }: Point): Point => ({ x: x * map.width, y: y * map.height });
  const say = ({ x, y }: Point, what = ""): void => {
    const point = inPixels({ x: Math.min(x, 0.999), y: Math.min(y, 0.999) });
    const label = map.labels[Math.floor(point.y) * map.width + Math.floor(point.x)] ?? 0;
    const place = `${Math.round(100 * x)}% across, ${Math.round(100 * y)}% down`;
    setSpoken([what, place, item.result.labelNames[label] ?? ""].filter((part) => part !== "").join(", "));
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const key = editorKeys.find(({ matches }) => matches(event))?.id;
    if (key === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    const here = cursor ?? { x: 0.5, y: 0.5 };
    const pixels = inPixels(here);
    const isPolygon = tool.value === "polygon";
    if (key === "move") {
      const next = cursorMove(event, here);
      setCursor(next);
      if (last.current && draft) setDraft(drawn(pixels, inPixels(next), draft));
      say(next);
    } else if (key === "mark" && isPolygon) {
      setCorners([...corners, pixels]);
      say(here, `corner ${corners.length + 1}`);
    } else if (key === "mark") {
      if (!last.current) correct(item, step, drawn(pixels, pixels, map));
      say(here, tool.value === "eraser" ? "erased" : "painted");
    } else if (key === "line" && isPolygon) {
      close();
      say(here, corners.length > 2 ? "polygon filled" : "a polygon needs three corners");
    } else if (key === "line" && last.current) {
      finish();
      say(here, "line ended");
    } else if (key === "line") {
      last.current = pixels;
      setDraft(drawn(pixels, pixels, map));
      say(here, "line begun");
    } else if (key === "leave") {
      setCorners([]);
      last.current = undefined;
      setDraft(undefined);
      say(here, "dropped");
    } else if (key === "undo" || key === "redo") move(item, step.index, key);
    else if (key === "before") goBy(item, -1);
    else if (key === "after") goBy(item, 1);
    else if (key === "smaller" || key === "larger") {
      const { min, max, step: by } = brushSizes;
      brushSize.value = Math.min(max, Math.max(min, brushSize.value + (key === "larger" ? by : -by)));
    } else tool.value = key;
    if (key !== "before" && key !== "after") setCursor((known) => known ?? here);
  };
  return (
    <figure class="stage editor">
      <div
        class="editor-surface"
        role="application"
        // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes keys
        tabIndex={0}
        aria-label={`Second ${step.index} of ${item.name}, to be corrected`}
        aria-describedby="editor-keys"
        onKeyDown={onKeyDown}
        onFocus={({ currentTarget }) => {
          if (currentTarget.matches(":focus-visible")) setCursor((known) => known ?? { x: 0.5, y: 0.5 });
        }}
        onBlur={finish}
      >
        <canvas
          ref={canvas}
          onPointerDown={(event) => {
            const point = at(event);
            setCursor(undefined);
            if (tool.value === "polygon") return setCorners([...corners, point]);
            event.currentTarget.setPointerCapture(event.pointerId);
            last.current = point;
            setDraft(drawn(point, point, map));
          }}
          onPointerMove={(event) => {
            if (!last.current || !draft || cursor) return;
            const point = at(event);
            setDraft(drawn(last.current, point, draft));
            last.current = point;
          }}
          onPointerUp={finish}
          onDblClick={close}
        />
      </div>
      <span id="editor-keys" class="visually-hidden">
        Arrow keys move the cursor, Space paints, and Enter begins and ends a line. A question mark lists all
        keys.
      </span>
      <span class="visually-hidden" role="status">
        {spoken}
      </span>
      <figcaption>
        Second {step.index}
        {tool.value === "polygon" ? ": click corners, double-click to close" : ""}
      </figcaption>
    </figure>
  );
}

/** The picture that the model saw. */
function usePicture(item: Item, step: Step | undefined): ImageBitmap | undefined {
  const [picture, setPicture] = useState<ImageBitmap>();
  useEffect(() => {
    if (!step) return;
    const stop = new AbortController();
    const read = async (): Promise<void> => {
      const request = { file: item.file, times: [step.timeSeconds], height: Math.min(720, step.mask.height) };
      for await (const { picture: found } of picturesOf(request, stop.signal)) setPicture(found);
    };
    read().catch(() => undefined); // the player says why a file cannot be read
    return () => stop.abort();
  }, [item, step]);
  return picture;
}

/** What lies over the picture. */
interface Drawing {
  readonly map: LabelMap;
  readonly labelNames: readonly string[];
  readonly corners: readonly Point[];
  /** As fractions of the picture, with a radius in pixels of the map. */
  readonly cursor: (Point & { readonly radius: number }) | undefined;
}

/** Opacity of masks. */
const fill = 0.5;

function paint(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
  { map, labelNames, corners, cursor }: Drawing,
): void {
  const { width, height } = map;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.drawImage(picture, 0, 0, width, height);
  const image = new OffscreenCanvas(width, height);
  image.getContext("2d")?.putImageData(maskToImageData({ ...map, labelNames, regions: [] }, { fill }), 0, 0);
  context.drawImage(image, 0, 0);
  context.strokeStyle = context.fillStyle = "#fff";
  context.lineWidth = 1.5;
  if (corners.length > 0) {
    context.beginPath();
    for (const { x, y } of corners) context.lineTo(x, y);
    context.stroke();
    for (const { x, y } of corners) context.fillRect(x - 2, y - 2, 4, 4);
  }
  if (!cursor) return;
  // White on black is seen on every picture.
  for (const [color, lineWidth] of [
    ["#000", 3],
    ["#fff", 1.5],
  ] as const) {
    Object.assign(context, { strokeStyle: color, lineWidth });
    context.beginPath();
    context.arc(cursor.x * width, cursor.y * height, cursor.radius, 0, 2 * Math.PI);
    context.stroke();
  }
}
