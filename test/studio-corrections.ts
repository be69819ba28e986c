/** Corrects the masks of a SoundShapes clip in the studio with the mouse. */
import type { Page } from "playwright-core";
import { type ClipSpec, planClip } from "../src/datasets/sound-shapes/plan.js";
import { positionAt } from "../src/datasets/sound-shapes/scene.js";

/** Corners of the polygon that is drawn around an object. */
const corners = 8;

/**
 * Draws a polygon around every object that sounds, in every second. The tab "Correct" must be open, and the clip shown
 * from its beginning.
 */
export async function correctMasks(page: Page, spec: ClipSpec): Promise<void> {
  const { scene, sounding, stepCount, framesPerSecond } = planClip(spec);
  await page.waitForFunction(
    () => (document.querySelector<HTMLCanvasElement>(".editor canvas")?.width ?? 0) > 100,
  );
  await page.getByRole("button", { name: "Polygon" }).click();
  for (let second = 0; second < stepCount; second++) {
    await page.getByRole("application", { name: new RegExp(`^Second ${second} of `) }).waitFor();
    const box = await page.locator(".editor canvas").first().boundingBox();
    if (!box) throw new Error("the picture is not shown");
    // Pictures of SoundShapes are square, in the middle of the canvas.
    const side = Math.min(box.width, box.height);
    const [left, top] = [box.x + (box.width - side) / 2, box.y + (box.height - side) / 2];
    const time = second + 1 - 1 / framesPerSecond; // a step's frame is the last one of its second
    for (const [i, { path, radius }] of scene.objects.entries()) {
      if (!sounding[second]?.[i]) continue;
      const center = positionAt(path, time, scene.durationSeconds);
      const points = Array.from({ length: corners }, (_, k) => {
        const angle = (2 * Math.PI * k) / corners;
        const [u, v] = [center[0] + radius * Math.cos(angle), center[1] + radius * Math.sin(angle)];
        const inside = (x: number): number => Math.min(0.99, Math.max(0.01, x));
        return [left + inside(u) * side, top + inside(v) * side] as const;
      });
      for (const [x, y] of points) await page.mouse.click(x, y);
      await page.keyboard.press("Enter");
    }
    await page.getByRole("button", { name: "Second after" }).click();
  }
}
