/** A picture in memory as an element. */
import { useEffect, useRef } from "preact/hooks";

/** Shows a bitmap; it is decoration, so that it has no name. */
export function Bitmap({ picture }: { picture: ImageBitmap | undefined }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    if (!canvas.current || !picture) return;
    canvas.current.width = picture.width;
    canvas.current.height = picture.height;
    canvas.current.getContext("2d")?.drawImage(picture, 0, 0);
  }, [picture]);
  return <canvas ref={canvas} class="bitmap" />;
}
