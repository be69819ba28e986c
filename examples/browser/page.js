/** The browser page: choose a video and watch it with its masks. Nothing leaves the computer. */
import { blend, maskOf, maskToImageData, openModel } from "/avseg-web.js";

const ids = ["file", "status", "result", "video", "overlay", "seconds"];
const [input, status, result, video, overlay, seconds] = ids.map((id) => document.getElementById(id));

/** Says what went wrong and what to do. */
function showError({ message, hint }) {
  status.textContent = [message, hint].filter(Boolean).join(". ");
}

const model = await openModel({
  checkpoint: "/model",
  runtime: { wasmFolder: "/ort/" },
  onProgress: ({ done }) => {
    status.textContent = `loading the model: ${(done / 1e6).toFixed(0)} MB`;
  },
}).catch((error) => {
  showError(error);
  throw error;
});
status.textContent = "ready";
input.disabled = false;

/** The segmented seconds of the video so far. */
let found = [];

/** Probabilities at a time: a blend of those before and after it. */
function probabilitiesAt(time) {
  const index = found.findIndex(({ timeSeconds }) => timeSeconds >= time);
  const [before, after] = index < 0 ? [found.at(-1)] : [found[index - 1], found[index]];
  if (!before || !after) return (before ?? after)?.probabilities;
  const weight = (time - before.timeSeconds) / (after.timeSeconds - before.timeSeconds);
  return blend(before.probabilities, after.probabilities, weight);
}

/** Lays the mask of the moment that is shown over the video. */
function draw() {
  const shrink = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight, 1));
  overlay.width = Math.round(video.videoWidth * shrink);
  overlay.height = Math.round(video.videoHeight * shrink);
  const { width, height } = overlay;
  const map = probabilitiesAt(video.currentTime);
  if (!map || width === 0) return;
  const image = maskToImageData(maskOf(map, { width, height, classes: model.classes }));
  overlay.getContext("2d")?.putImageData(image, 0, 0);
}

/** A bar for one second, as high as the fraction of the picture that sounds; it seeks to that second. */
function barOf({ index, timeSeconds, mask }) {
  const area = mask.regions.reduce((sum, region) => sum + region.area, 0) / (mask.width * mask.height);
  const names = mask.regions.map(({ label }) => label).join(", ");
  const button = document.createElement("button");
  button.type = "button";
  button.title = `second ${index}: ${names || "nothing sounds"}`;
  button.style.setProperty("--share", `${Math.round(100 * Math.sqrt(area))}%`);
  button.addEventListener("click", () => {
    video.currentTime = timeSeconds;
  });
  const bar = document.createElement("li");
  bar.append(button);
  return bar;
}

let stop = new AbortController();
input.addEventListener("change", async () => {
  stop.abort(); // another video was chosen before this one was finished
  stop = new AbortController();
  const { signal } = stop;
  const [file] = input.files ?? [];
  if (!file) return;
  found = [];
  seconds.replaceChildren();
  URL.revokeObjectURL(video.src);
  video.src = URL.createObjectURL(file);
  result.hidden = false;
  status.textContent = "segmenting";
  try {
    for await (const frame of model.segment(file, { signal })) {
      found.push(frame);
      seconds.append(barOf(frame));
      draw();
      status.textContent = `${found.length} s`;
    }
    status.textContent = `${found.length} s, done`;
  } catch (error) {
    if (signal.aborted) return;
    result.hidden = found.length === 0; // nothing to watch
    showError(error);
  }
});

/** Follows the video wherever it is. */
function follow() {
  if (!video.paused) draw();
  requestAnimationFrame(follow);
}
for (const event of ["loadeddata", "seeked"]) video.addEventListener(event, draw);
follow();
