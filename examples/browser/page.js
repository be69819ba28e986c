/** The browser page: choose a video, see the mask of every second as it is found. Nothing leaves the computer. */
import { loadModel, overlayColor, paint, segmentVideo } from "/avseg-web.js";

const [input, status, frames] = ["file", "status", "frames"].map((id) => document.getElementById(id));

const model = await loadModel({
  checkpoint: "/model",
  runtime: { wasmFolder: "/ort/" },
  onProgress: ({ doneBytes }) => {
    status.textContent = `loading the model: ${(doneBytes / 1e6).toFixed(0)} MB`;
  },
});
status.textContent = "ready";
input.disabled = false;

/** A figure with the mask of one second, in the colours of the overlay videos. */
function figureOf({ index, mask, map }) {
  const canvas = document.createElement("canvas");
  canvas.width = mask.width;
  canvas.height = mask.height;
  const pixels = paint(map, mask.width, mask.height, (label) => overlayColor(label, model.classes.length));
  const image = new ImageData(new Uint8ClampedArray(pixels.buffer), mask.width, mask.height);
  canvas.getContext("2d")?.putImageData(image, 0, 0);
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  caption.textContent = `second ${index}: ${mask.regions.length > 0 ? "something sounds" : "nothing sounds"}`;
  figure.append(canvas, caption);
  return figure;
}

let stop = new AbortController();
input.addEventListener("change", async () => {
  stop.abort(); // another video was chosen before this one was finished
  stop = new AbortController();
  const { signal } = stop;
  const [file] = input.files ?? [];
  if (!file) return;
  frames.replaceChildren();
  try {
    for await (const frame of segmentVideo(file, model, { signal })) {
      frames.append(figureOf(frame));
      status.textContent = `${frame.index + 1} s`;
    }
    status.textContent = "done";
  } catch (error) {
    if (!signal.aborted) status.textContent = [error.message, error.hint].filter(Boolean).join(" ");
  }
});
