/** The frame of one second with its mask, to be drawn on. */
import { signal } from "@preact/signals";
import type { Step } from "avseg/studio";
import { useEffect, useRef, useState } from "preact/hooks";
import { fillPolygon, type Point, stroke } from "../masks/drawing";
import { picturesOf } from "../media/reader";
import { type Correction, changes, correct, maskOf } from "../state/corrections";
import type { Item } from "../state/library";
import { player } from "../state/player";

/** What the pointer does. */
export const tools = [
  { id: "brush", label: "Brush" },
  { id: "eraser", label: "Eraser" },
  { id: "polygon", label: "Polygon" },
] as const;

/** The chosen tool, and the radius of brush and eraser as a fraction of the picture's width. */
export const tool = signal<(typeof tools)[number]["id"]>("brush");
export const brushSize = signal(0.03);

/** The second at which the player is. */
export function currentStep(item: Item): Step | undefined {
  const { steps } = item.result;
  return steps[Math.min(steps.length - 1, Math.floor(player.time.value))];
}

/** The editor. */
export function Editor({ item }: { item: Item }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const step = currentStep(item);
  const picture = usePicture(item, step);
  const [draft, setDraft] = useState<Correction>();
  const [corners, setCorners] = useState<readonly Point[]>([]);
  const last = useRef<Point | undefined>(undefined);
  const count = changes.value;
  useEffect(() => setCorners([]), [step, tool.value]);
  useEffect(() => {
    if (canvas.current && picture && step) {
      paint(canvas.current, picture, { mask: draft ?? maskOf(item, step), corners });
    }
  }, [picture, step, draft, corners, count]);
  if (!step) return <p class="note">Find what sounds first; then its masks can be corrected.</p>;
  const mask = draft ?? maskOf(item, step);
  const at = ({ offsetX, offsetY }: PointerEvent): Point => {
    const box = canvas.current;
    if (!box) return { x: 0, y: 0 };
    // `object-fit: contain` leaves margins.
    const scale = Math.min(box.clientWidth / mask.width, box.clientHeight / mask.height);
    const left = (box.clientWidth - mask.width * scale) / 2;
    const top = (box.clientHeight - mask.height * scale) / 2;
    return { x: (offsetX - left) / scale, y: (offsetY - top) / scale };
  };
  const draw = (from: Point, to: Point, base: Correction): void => {
    const radius = brushSize.value * mask.width;
    setDraft(stroke(base, { from, to, radius, mark: tool.value === "brush" }));
  };
  const close = (): void => {
    if (corners.length > 2) correct(item, step, fillPolygon(mask, corners));
    setCorners([]);
  };
  return (
    <figure class="stage editor">
      <canvas
        ref={canvas}
        role="img"
        aria-label={`Second ${step.index} of ${item.name}, to be corrected`}
        onPointerDown={(event) => {
          const point = at(event);
          if (tool.value === "polygon") return setCorners([...corners, point]);
          event.currentTarget.setPointerCapture(event.pointerId);
          last.current = point;
          draw(point, point, mask);
        }}
        onPointerMove={(event) => {
          if (!last.current || !draft) return;
          const point = at(event);
          draw(last.current, point, draft);
          last.current = point;
        }}
        onPointerUp={() => {
          last.current = undefined;
          if (draft) correct(item, step, draft);
          setDraft(undefined);
        }}
        onDblClick={close}
      />
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

function paint(
  canvas: HTMLCanvasElement,
  picture: ImageBitmap,
  { mask, corners }: { mask: Correction; corners: readonly Point[] },
): void {
  canvas.width = mask.width;
  canvas.height = mask.height;
  const context = canvas.getContext("2d");
  if (!context) return;
  context.drawImage(picture, 0, 0, mask.width, mask.height);
  const layer = new ImageData(mask.width, mask.height);
  const pixels = new Uint32Array(layer.data.buffer);
  // Alpha, blue, green, red: bytes in memory are little-endian.
  for (let i = 0; i < pixels.length; i++) if (mask.marked[i] === 1) pixels[i] = 0x805848ff;
  const image = new OffscreenCanvas(mask.width, mask.height);
  image.getContext("2d")?.putImageData(layer, 0, 0);
  context.drawImage(image, 0, 0);
  if (corners.length === 0) return;
  context.strokeStyle = context.fillStyle = "#fff";
  context.lineWidth = 1.5;
  context.beginPath();
  for (const { x, y } of corners) context.lineTo(x, y);
  context.stroke();
  for (const { x, y } of corners) context.fillRect(x - 2, y - 2, 4, 4);
}
