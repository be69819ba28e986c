/** The sound of a video as peaks, for the waveform. */
import { AudioSampleSink, BlobSource, Input } from "mediabunny";
import { fileFormats } from "./probe";

/** Largest magnitudes at a constant rate from time zero on. */
export interface Peaks {
  readonly perSecond: number;
  readonly values: Float32Array;
}

/** Reads peaks piece by piece; `onPart` is called as they grow. Files without decodable sound have none. */
export async function readPeaks(
  file: Blob,
  durationSeconds: number,
  { signal, onPart }: { signal: AbortSignal; onPart: (peaks: Peaks) => void },
): Promise<void> {
  using input = new Input({ source: new BlobSource(file), formats: fileFormats });
  const track = await input.getPrimaryAudioTrack();
  if (!track || !(await track.canDecode())) return;
  const perSecond = Math.max(1, Math.min(100, Math.floor(20_000 / Math.max(1, durationSeconds))));
  const values = new Float32Array(Math.ceil(durationSeconds * perSecond) + 1);
  let shown = 0;
  for await (const sample of new AudioSampleSink(track).samples()) {
    if (signal.aborted) {
      sample.close();
      return;
    }
    const { numberOfFrames, sampleRate, timestamp } = sample;
    const plane = new Float32Array(numberOfFrames);
    sample.copyTo(plane, { planeIndex: 0, format: "f32-planar" });
    sample.close();
    for (let i = 0; i < plane.length; i++) {
      const at = Math.floor((timestamp + i / sampleRate) * perSecond);
      if (at >= 0 && at < values.length) values[at] = Math.max(values[at]!, Math.abs(plane[i]!));
    }
    if (timestamp - shown > 5) {
      shown = timestamp;
      onPart({ perSecond, values });
    }
  }
  onPart({ perSecond, values });
}
