/** One clip in memory, segmented in Node and in a page. */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import type { JSHandle, Page } from "playwright-core";
import {
  encodeWav,
  type ImageTensor,
  type Predictor,
  readWav,
  type Sound,
  segmentFrames,
} from "../src/index.js";
import { library, type Web } from "./browser.js";

const [width, height] = [100, 80];
const frameBytes = width * height * 3;

/** Writes the pictures and the sound as `clip.rgb` and `sound.wav`; the page must serve them by these names. */
export async function writeClip(
  dir: string,
  { frames, audio }: { frames: readonly ImageTensor[]; audio: Sound },
): Promise<void> {
  await writeFile(path.join(dir, "clip.rgb"), Buffer.concat(frames.map(({ data }) => data)));
  await writeFile(path.join(dir, "sound.wav"), encodeWav(audio));
}

/** Labels of all pictures, one after another. */
export async function clipInNode(dir: string, model: Predictor): Promise<number[]> {
  const pixels = new Uint8Array(await readFile(path.join(dir, "clip.rgb")));
  const frames = Array.from({ length: pixels.length / frameBytes }, (_, i): ImageTensor => {
    const data = pixels.slice(i * frameBytes, (i + 1) * frameBytes);
    return { dtype: "u8", shape: [height, width, 3], data };
  });
  const audio = readWav(await readFile(path.join(dir, "sound.wav")), "sound.wav");
  const labels: number[] = [];
  for await (const { mask } of segmentFrames({ frames, audio }, model)) labels.push(...mask.labels);
  return labels;
}

/** The same in a page. */
export async function clipInPage(page: Page, model: JSHandle<Predictor>): Promise<number[]> {
  const json = await page.evaluate(
    async ({ library: from, shape, model: predictor }) => {
      const { readWav: read, segmentFrames: segment }: Web = await import(from);
      const bytesOf = async (address: string) => new Uint8Array(await (await fetch(address)).arrayBuffer());
      const pixels = await bytesOf("/clip.rgb");
      const size = shape.reduce((a, b) => a * b);
      const frames = Array.from({ length: pixels.length / size }, (_, i) => ({
        dtype: "u8" as const,
        shape,
        data: pixels.slice(i * size, (i + 1) * size),
      }));
      const audio = read(await bytesOf("/sound.wav"), "sound.wav");
      const labels: number[] = [];
      for await (const { mask } of segment({ frames, audio }, predictor)) labels.push(...mask.labels);
      // As text: Playwright looks at every number of an array.
      return JSON.stringify(labels);
    },
    { library, shape: [height, width, 3], model },
  );
  return JSON.parse(json);
}

/** Opens a model in a page, where it stays open. */
export function loadInPage(
  page: Page,
  checkpoint: string,
  provider: "wasm" | "webgpu" = "wasm",
): Promise<JSHandle<Predictor>> {
  return page.evaluateHandle(
    async ({ library: from, checkpoint: address, provider: runOn }) => {
      const { openModel: load }: Web = await import(from);
      return load({ checkpoint: address, runtime: { provider: runOn, wasmFolder: "/ort/" } });
    },
    { library, checkpoint, provider },
  );
}

/** The fraction of labels that differ. */
export function differing(a: ArrayLike<number | string>, b: ArrayLike<number | string>): number {
  return Array.from(b).filter((label, i) => label !== a[i]).length / b.length;
}
