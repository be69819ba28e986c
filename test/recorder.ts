/** What a model is given and what it says, by the same code in Node and in a page, which imports this very file. */
import type { Predictor, SegmentedFrame, SegmentVideoOptions } from "../src/index.js";

/** The `segmentVideo` of Node or of browsers. */
type Segment = (
  file: string,
  model: Predictor,
  options?: SegmentVideoOptions,
) => AsyncIterable<SegmentedFrame>;

/** A second of a video as a model sees it. */
export interface Labeled {
  readonly time: number;
  readonly peak: number;
  /** Every seventh label of the mask, a character each. */
  readonly labels: string;
}

/** Segments a video. */
export async function labelsOf(segment: Segment, file: string, model: Predictor): Promise<Labeled[]> {
  const seconds: Labeled[] = [];
  for await (const { mask, timeSeconds, peak } of segment(file, model, { silenceGate: false })) {
    const labels = mask.labels.filter((_, i) => i % 7 === 0);
    seconds.push({
      time: timeSeconds,
      peak,
      labels: new TextDecoder("latin1").decode(Uint8Array.from(labels)),
    });
  }
  return seconds;
}

/** All that a model of `imageSize` is given of a video. */
export interface Given {
  /** Time, width and height of every second. */
  readonly steps: readonly (readonly number[])[];
  readonly frames: readonly number[];
  readonly logMel: readonly number[];
}

/** Takes down what `segment` gives a model, of a part of a video where `slice` names it. */
export async function givenOf(
  segment: Segment,
  file: string,
  { imageSize, slice }: Pick<SegmentVideoOptions, "slice"> & { readonly imageSize: number },
): Promise<Given> {
  const frames: number[] = [];
  const logMel: number[] = [];
  const recorder: Predictor = {
    frameCount: 5,
    imageSize,
    maskSize: imageSize,
    classes: ["sounding"],
    clipsPerRun: 1,
    predict: async (batch) => {
      frames.push(...batch.frames.data);
      logMel.push(...(batch.logMel?.data ?? []));
      return { dtype: "f32", shape: [5, 1, 1, 1], data: new Float32Array(5).fill(-1) };
    },
    close: async () => undefined,
  };
  const steps: number[][] = [];
  for await (const { timeSeconds, mask } of segment(file, recorder, { slice })) {
    steps.push([timeSeconds, mask.width, mask.height]);
  }
  return { steps, frames, logMel };
}
