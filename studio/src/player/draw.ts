/** Canvases of the timeline. */
import type { Peaks } from "../media/waveform";

interface Area {
  readonly width: number;
  readonly height: number;
}

/** A canvas at the screen's density; drawing happens in CSS pixels. */
export function contextOf(
  canvas: HTMLCanvasElement,
  { width, height }: Area,
): CanvasRenderingContext2D | null {
  const density = Math.min(2, devicePixelRatio);
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const context = canvas.getContext("2d");
  context?.scale(density, density);
  return context;
}

/** A color of the page's theme. */
export function themeColor(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** The sound's peaks, mirrored. */
export function drawWaveform(
  canvas: HTMLCanvasElement,
  peaks: Peaks | undefined,
  { width, height, duration }: Area & { readonly duration: number },
): void {
  const context = contextOf(canvas, { width, height });
  if (!context) return;
  context.fillStyle = themeColor("--wave");
  const middle = height / 2;
  for (let x = 0; x < width; x += 2) {
    let peak = 0;
    if (peaks && duration > 0) {
      const from = Math.floor((x / width) * duration * peaks.perSecond);
      const to = Math.max(from + 1, Math.floor(((x + 2) / width) * duration * peaks.perSecond));
      for (let i = from; i < to && i < peaks.values.length; i++) peak = Math.max(peak, peaks.values[i]!);
    }
    const half = Math.max(0.5, Math.min(1, Math.sqrt(peak)) * (middle - 2));
    context.fillRect(x, middle - half, 1.25, 2 * half);
  }
}

/** Pictures side by side; those that are not there yet are left out. */
export function drawFilmstrip(
  canvas: HTMLCanvasElement,
  pictures: readonly (ImageBitmap | undefined)[],
  { width, height, count }: Area & { readonly count: number },
): void {
  const context = contextOf(canvas, { width, height });
  if (!context) return;
  const cell = width / count;
  for (const [i, picture] of pictures.entries()) {
    if (!picture) continue;
    const scale = Math.max(cell / picture.width, height / picture.height);
    const [w, h] = [cell / scale, height / scale];
    const [x, y] = [(picture.width - w) / 2, (picture.height - h) / 2];
    context.drawImage(picture, x, y, w, h, i * cell, 0, cell + 0.5, height);
  }
}
