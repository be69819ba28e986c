/** Live mode: rolling windows of a camera and a microphone, one after another as fast as the model runs. */
import { batch, signal } from "@preact/signals";
import type { ModelFacts, Step } from "avseg/studio";
import { EngineError, type Failure, failureOf } from "../engine/messages";
import { type Capture, type Device, type Devices, listDevices, openCapture } from "../live/capture";
import { PictureRing } from "../live/picture-ring";
import { SampleRing } from "../live/sample-ring";
import { within } from "../masks/labels";
import { engineId, model, openedModel, tabEngine } from "./engine";

/** What live mode shows. */
export const live = {
  status: signal<"off" | "starting" | "on">("off"),
  failure: signal<Failure | undefined>(undefined),
  stream: signal<MediaStream | undefined>(undefined),
  /** What was found in the newest window. */
  step: signal<Step | undefined>(undefined),
  /** From a picture's arrival to its mask on screen, in seconds. */
  latencySeconds: signal<number | undefined>(undefined),
  /** From the latest window to the one before it, in seconds. */
  intervalSeconds: signal<number | undefined>(undefined),
  /** Windows since the start. */
  windows: signal(0),
  cameras: signal<readonly Device[]>([]),
  microphones: signal<readonly Device[]>([]),
  chosen: signal<Devices>({}),
};

/** Figures on screen are averages over about this many windows. */
const averagedWindows = 5;

/** Pictures are kept with at most this longer side. */
const pictureSide = 480;

/** What is open now. */
interface Session {
  readonly facts: ModelFacts;
  readonly stop: AbortController;
  readonly capture: Capture;
  readonly pictures: PictureRing;
  readonly sound: SampleRing;
}
let session: Session | undefined;
let starting = new AbortController();

/** Opens the devices and begins. */
export async function startLive(): Promise<void> {
  await stopLive();
  const stop = new AbortController();
  starting = stop;
  batch(() => {
    live.status.value = "starting";
    live.failure.value = undefined;
    live.windows.value = 0;
    live.latencySeconds.value = undefined;
    live.intervalSeconds.value = undefined;
  });
  try {
    const facts = await modelOfTab();
    let sound: SampleRing | undefined;
    const capture = await openCapture(live.chosen.value, (piece) => sound?.push(piece));
    if (stop.signal.aborted) return await capture.release();
    sound = new SampleRing(Math.ceil(facts.frameCount * capture.sampleRateHz));
    const pictures = new PictureRing(facts.frameCount + 1);
    session = { facts, stop, capture, pictures, sound };
    for (const track of capture.stream.getTracks()) {
      track.addEventListener("ended", () => fail(new Error("The camera or the microphone was disconnected")));
    }
    batch(() => {
      live.stream.value = capture.stream;
      live.status.value = "on";
    });
    const { cameras, microphones } = await listDevices();
    live.cameras.value = cameras;
    live.microphones.value = microphones;
    void run(session);
  } catch (error) {
    if (!stop.signal.aborted) await fail(error);
  }
}

/** Ends live mode and turns the devices off. */
export async function stopLive(): Promise<void> {
  starting.abort(new DOMException("stopped", "AbortError"));
  const ended = session;
  session = undefined;
  batch(() => {
    live.status.value = "off";
    live.stream.value = undefined;
    live.step.value = undefined;
  });
  await ended?.capture.release();
}

/** Uses another camera or microphone. */
export async function chooseDevices(change: Devices): Promise<void> {
  live.chosen.value = { ...live.chosen.value, ...change };
  if (live.status.value === "on") await startLive();
}

async function fail(error: unknown): Promise<void> {
  await stopLive();
  live.failure.value = failureOf(error);
}

/** The opened model, where it runs in this tab. */
async function modelOfTab(): Promise<ModelFacts> {
  const facts = await openedModel();
  if (engineId.value !== "tab") {
    throw new EngineError({
      message: "Live mode runs in this tab, but the model is open on this computer",
      hint: "Open the badge at the top and choose “This tab”.",
    });
  }
  return facts;
}

const canvas = new OffscreenCanvas(1, 1);
const context = canvas.getContext("2d", { willReadFrequently: true });

/** Keeps what the camera's element shows now; called for every new frame. */
export function takePicture(video: HTMLVideoElement): void {
  const seconds = performance.now() / 1000;
  if (!session || !context || video.videoWidth === 0 || !session.pictures.wants(seconds)) return;
  const { width, height } = within(pictureSide, video.videoWidth, video.videoHeight);
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  context.drawImage(video, 0, 0, width, height);
  session.pictures.push(context.getImageData(0, 0, width, height), seconds);
}

/** Segments window after window until it is stopped. */
async function run({ facts, stop, capture, pictures, sound }: Session): Promise<void> {
  const { signal: stopped } = stop;
  const isOtherModel = (): boolean => model.facts.value !== facts;
  let [shown, last] = [Number.NEGATIVE_INFINITY, 0];
  try {
    while (!stopped.aborted) {
      if (isOtherModel()) return await startLive();
      const newest = pictures.newestSeconds;
      if (newest === undefined || newest <= shown) {
        await nextFrame();
        continue;
      }
      shown = newest;
      const images = pictures.window(facts.frameCount);
      const samples = sound.last(images.length * capture.sampleRateHz);
      const step = await tabEngine.live(
        { pictures: images, samples, sampleRateHz: capture.sampleRateHz },
        { signal: stopped },
      );
      if (stopped.aborted) return;
      live.step.value = step;
      await nextFrame(); // the mask is on screen from here on
      const now = performance.now() / 1000;
      batch(() => {
        live.windows.value++;
        live.latencySeconds.value = average(live.latencySeconds.value, now - newest);
        if (last > 0) live.intervalSeconds.value = average(live.intervalSeconds.value, now - last);
      });
      last = now;
    }
  } catch (error) {
    if (stopped.aborted) return;
    // Another model was opened in the middle of a window.
    if (isOtherModel()) await startLive();
    else await fail(error);
  }
}

/** The next time that the page is drawn; a page in the background waits a quarter of a second. */
function nextFrame(): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, 250);
    requestAnimationFrame(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

function average(before: number | undefined, value: number): number {
  return before === undefined ? value : before + (value - before) / averagedWindows;
}
