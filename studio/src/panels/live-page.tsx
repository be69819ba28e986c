/** The page of live mode: what sounds before the camera. */
import { effect } from "@preact/signals";
import { labelNames } from "avseg/studio";
import { useEffect, useRef } from "preact/hooks";
import { percent } from "../format";
import type { Device } from "../live/capture";
import { Composer } from "../masks/compose";
import { within } from "../masks/labels";
import { maskAt } from "../masks/moment";
import { Problem } from "../parts/controls";
import { model } from "../state/engine";
import { chooseDevices, live, startLive, stopLive, takePicture } from "../state/live";
import { controls, look } from "../state/settings";
import { LookPanel } from "./look-panel";

/** Masks are drawn with at most this longer side. */
const maskSide = 480;

/** The page. Leaving it turns the devices off. */
export function LivePage() {
  useEffect(() => () => void stopLive(), []);
  const status = live.status.value;
  return (
    <div class="live-page">
      <main class="center">
        {status === "on" && <h1 class="visually-hidden">Live</h1>}
        {status === "on" ? <LiveStage /> : <Idle starting={status === "starting"} />}
        {live.failure.value && <Problem {...live.failure.value} />}
        {status === "on" && <LiveBar />}
      </main>
      <aside class="inspector" aria-label="Settings">
        <div class="panel">
          <LookPanel />
        </div>
      </aside>
    </div>
  );
}

function Idle({ starting }: { starting: boolean }) {
  return (
    <div class="live-idle">
      <h1>What sounds around you?</h1>
      <p>
        Camera and microphone are segmented in this tab, window after window. Nothing is recorded, and nothing
        leaves this computer.
      </p>
      {starting ? (
        <div class="live-starting" role="status">
          <span>Opening camera and microphone. Your browser may ask whether this page may use them.</span>
          <button type="button" class="button" onClick={stopLive}>
            Cancel
          </button>
        </div>
      ) : (
        <button type="button" class="button primary" onClick={startLive}>
          Start camera and microphone
        </button>
      )}
    </div>
  );
}

function LiveStage() {
  const canvas = useRef<HTMLCanvasElement>(null);
  const video = useRef<HTMLVideoElement>(null);
  const stream = live.stream.value;
  useEffect(() => {
    if (!canvas.current || !video.current || !stream) return;
    video.current.srcObject = stream;
    video.current.play().catch(() => undefined); // muted, so that browsers allow it
    return drawOn(canvas.current, video.current);
  }, [stream]);
  return (
    <figure class={look.value.id === "cutout" ? "stage checkered" : "stage"}>
      <video ref={video} playsInline muted tabIndex={-1} aria-hidden="true" />
      <canvas ref={canvas} role="img" aria-label="The camera with what sounds marked" />
    </figure>
  );
}

/** Draws every frame of the camera with the newest mask; returns what stops it. */
function drawOn(canvas: HTMLCanvasElement, video: HTMLVideoElement): () => void {
  const composer = new Composer();
  const context = canvas.getContext("2d");
  const draw = (): void => {
    if (!context || video.videoWidth === 0) return;
    const { videoWidth: width, videoHeight: height } = video;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const step = live.step.value;
    const classes = labelNames(model.facts.value?.classes ?? []);
    const size = { ...within(maskSide, width, height), classes };
    const mask = step && maskAt([step], step.timeSeconds, { size, controls: controls.value });
    composer.draw(context, video, { mask, look: look.value });
  };
  let frame = 0;
  const onFrame = (): void => {
    takePicture(video);
    draw();
    frame = video.requestVideoFrameCallback(onFrame);
  };
  frame = video.requestVideoFrameCallback(onFrame);
  const stop = effect(draw);
  return () => {
    video.cancelVideoFrameCallback(frame);
    stop();
    video.srcObject = null;
  };
}

function LiveBar() {
  const { latencySeconds, intervalSeconds, step, cameras, microphones, chosen } = live;
  const latency = latencySeconds.value;
  const interval = intervalSeconds.value;
  return (
    <section class="run-bar" aria-label="Live">
      <dl class="facts">
        <div>
          <dt>Latency</dt>
          <dd class="live-latency">{latency === undefined ? "…" : `${Math.round(latency * 1000)} ms`}</dd>
        </div>
        <div>
          <dt>Masks</dt>
          <dd>{interval === undefined ? "…" : `${(1 / interval).toFixed(1)} per second`}</dd>
        </div>
        <div>
          <dt>Sounds now</dt>
          <dd class="live-found">{step.value ? foundIn(step.value) : "…"}</dd>
        </div>
        <div>
          <dt>Level</dt>
          <dd>
            <meter min={0} max={1} value={Math.sqrt(step.value?.peak ?? 0)} aria-label="Level of the sound" />
          </dd>
        </div>
      </dl>
      <div class="run">
        <button type="button" class="button" onClick={stopLive}>
          Stop
        </button>
        <DeviceChoice
          label="Camera"
          devices={cameras.value}
          value={chosen.value.camera}
          onChange={(camera) => chooseDevices({ camera })}
        />
        <DeviceChoice
          label="Microphone"
          devices={microphones.value}
          value={chosen.value.microphone}
          onChange={(microphone) => chooseDevices({ microphone })}
        />
      </div>
      <p class="note">
        The latency is measured: from a picture's arrival to its mask on screen. Every mask is made of the
        last seconds of pictures and sound.
      </p>
    </section>
  );
}

function foundIn({ silent, mask }: NonNullable<typeof live.step.value>): string {
  if (silent) return "silence";
  const size = mask.width * mask.height;
  const found = mask.regions.map(({ label, area }) => `${label}, ${percent(area / size)} of the picture`);
  return found.length > 0 ? found.join("; ") : "nothing in the picture";
}

function DeviceChoice({
  label,
  devices,
  value,
  onChange,
}: {
  label: string;
  devices: readonly Device[];
  value: string | undefined;
  onChange: (id: string) => void;
}) {
  if (devices.length < 2) return null;
  return (
    <label class="device">
      <span class="visually-hidden">{label}</span>
      <select value={value ?? devices[0]?.id} onChange={(event) => onChange(event.currentTarget.value)}>
        {devices.map(({ id, label: name }) => (
          <option key={id} value={id}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
