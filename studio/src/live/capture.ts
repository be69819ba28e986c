/** A camera and a microphone, opened and released together. */
import { EngineError } from "../engine/messages";
import tapAddress from "./sound-tap?worker&url";

/** Which devices to open, by the ids that the browser gives them. Default: the system's. */
export interface Devices {
  readonly camera?: string | undefined;
  readonly microphone?: string | undefined;
}

/** Opened devices. */
export interface Capture {
  readonly stream: MediaStream;
  readonly sampleRateHz: number;
  /** Turns both off. */
  release(): Promise<void>;
}

/** Why devices cannot be opened, and what to do, by the name of the browser's error. */
const refusals: Readonly<Record<string, { readonly message: string; readonly hint: string }>> = {
  NotAllowedError: {
    message: "This page may not use the camera and the microphone",
    hint: "Allow both in the browser's settings for this page (beside its address), and in those of the system; then press Start.",
  },
  NotFoundError: {
    message: "No camera or no microphone was found",
    hint: "Live mode needs both: connect them, then press Start.",
  },
  NotReadableError: {
    message: "The camera or the microphone cannot be read: another program may be using it",
    hint: "Close that program, then press Start.",
  },
  OverconstrainedError: {
    message: "The chosen camera or microphone is not there any more",
    hint: "Choose another one, then press Start.",
  },
};

/** An error of `getUserMedia` as one that says what to do. */
export function explained(error: unknown): EngineError {
  const name = error instanceof Error ? error.name : "";
  const message = error instanceof Error ? error.message : String(error);
  return new EngineError(
    refusals[name] ?? {
      message: `The camera and the microphone cannot be opened: ${message}`,
      hint: "Reload the page and try again.",
    },
  );
}

/** Opens both; `onSamples` gets mono sound piece by piece. Throws `EngineError` that says what to do. */
export async function openCapture(
  { camera, microphone }: Devices,
  onSamples: (piece: Float32Array<ArrayBuffer>) => void,
): Promise<Capture> {
  // Browsers hide devices from pages that are not secure.
  if (!globalThis.isSecureContext || navigator.mediaDevices === undefined) {
    throw new EngineError({
      message: "Browsers give pages without https no camera and no microphone",
      hint: "Serve this page over https, or open it from localhost.",
    });
  }
  const stream = await navigator.mediaDevices
    .getUserMedia({
      video: { width: { ideal: 640 }, height: { ideal: 480 }, ...exact(camera) },
      // What cleans up speech for calls removes the very sounds that are looked for.
      audio: {
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
        ...exact(microphone),
      },
    })
    .catch((error: unknown) => {
      throw explained(error);
    });
  const audio = new AudioContext();
  const release = async (): Promise<void> => {
    for (const track of stream.getTracks()) track.stop();
    if (audio.state !== "closed") await audio.close();
  };
  try {
    await audio.audioWorklet.addModule(tapAddress);
    const tap = new AudioWorkletNode(audio, "sound-tap", { numberOfOutputs: 0 });
    tap.port.onmessage = ({ data }: MessageEvent<Float32Array<ArrayBuffer>>) => onSamples(data);
    audio.createMediaStreamSource(stream).connect(tap);
    await audio.resume();
    return { stream, sampleRateHz: audio.sampleRate, release };
  } catch (error) {
    await release();
    throw error;
  }
}

function exact(deviceId: string | undefined): MediaTrackConstraints {
  return deviceId === undefined ? {} : { deviceId: { exact: deviceId } };
}

/** A device as the page offers it. */
export interface Device {
  readonly id: string;
  readonly label: string;
}

/** Cameras and microphones; browsers name them after they were allowed once. */
export async function listDevices(): Promise<{ cameras: Device[]; microphones: Device[] }> {
  const all = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  const of = (kind: MediaDeviceKind): Device[] =>
    all
      .filter((device) => device.kind === kind && device.deviceId !== "" && device.deviceId !== "default")
      .map(({ deviceId, label }, i) => ({ id: deviceId, label: label || `${i + 1}` }));
  return { cameras: of("videoinput"), microphones: of("audioinput") };
}
