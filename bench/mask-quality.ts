/**
 * `node dist/bench/mask-quality.js [clips]`: how well masks follow the picture and its edges, with the demo model on
 * SoundShapes clips of 448x448 that have ground truth for every video frame. Prints tables for docs/log.md.
 */

import type { ClipSpec } from "../src/datasets/sound-shapes/plan.js";
import { renderClip, renderVideoFrames, type VideoFrame } from "../src/datasets/sound-shapes/render-clip.js";
import { contourFscore } from "../src/evaluation/contour-fscore.js";
import type { Predictor } from "../src/inference/predictor.js";
import { type ImageTensor, resizeBilinear } from "../src/media/resize.js";
import { fullStep, stepTimes } from "../src/media/step-times.js";
import type { PictureFrame, StepFrame } from "../src/media/video.js";
import { edgeGrid, guideSize } from "../src/segment/grid.js";
import { maskOf } from "../src/segment/mask.js";
import { openModel } from "../src/segment/node/open-model.js";
import { DEMO_MODEL } from "../src/segment/node/shipped-models.js";
import { blend, type Marks, type ProbabilityMap } from "../src/segment/probability-map.js";
import { EdgeRefiner } from "../src/segment/refine.js";
import { type GatedStep, gatedSteps, type StepStream } from "../src/segment/step-stream.js";
import { trackMasks } from "../src/segment/track.js";

const side = 448;
const framesPerSecond = 16;
const rates = [1, 4];

/** A clip as a video: its frames, and smaller copies that motion and edges are found in. */
interface Video {
  readonly frames: readonly VideoFrame[];
  readonly guides: readonly ImageTensor[];
  readonly samples: Float32Array<ArrayBuffer>;
}

function videoOf(spec: ClipSpec): Video {
  const frames = [...renderVideoFrames(spec)];
  const guide = guideSize({ width: side, height: side }, model);
  const guides = frames.map(({ image }) => resizeBilinear(pictureOf(image), guide.height, guide.width));
  return { frames, guides, samples: renderClip(spec).samples };
}

const pictureOf = (data: Uint8Array<ArrayBuffer>): ImageTensor => ({
  dtype: "u8",
  shape: [side, side, 3],
  data,
});

/** The model's steps of a video at `rate`. */
async function stepsOf({ frames, samples }: Video, model: Predictor, rate: number): Promise<GatedStep[]> {
  const { imageSize } = model;
  async function* steps(): AsyncGenerator<StepFrame, void, undefined> {
    for (const time of stepTimes(frames.length / framesPerSecond, rate)) {
      const frame = frames[frameAt(time.timeSeconds)];
      if (frame) yield { ...time, rgb: resizeBilinear(pictureOf(frame.image), imageSize, imageSize).data };
    }
  }
  async function* sound(): AsyncGenerator<Float32Array, void, undefined> {
    yield samples;
  }
  const stream: StepStream = {
    frames: steps(),
    sound: sound(),
    size: () => ({ width: side, height: side }),
    totalSeconds: undefined,
    close: async () => {},
  };
  const list: GatedStep[] = [];
  for await (const step of gatedSteps(stream, model, { rate, silenceGate: false })) list.push(step);
  return list;
}

const frameAt = (seconds: number) => Math.floor(seconds * framesPerSecond + 1e-6);

/** Maps for all frames, from those of the steps, in one of three ways. */
const ways = {
  async hold(steps: readonly GatedStep[], { frames }: Video): Promise<ProbabilityMap[]> {
    // Every frame has the mask of the step of its own stretch of time, which ends with the step's frame.
    return frames.map(
      (_, i) => (steps.find((step) => frameAt(step.timeSeconds) >= i) ?? steps.at(-1)!).probabilities,
    );
  },
  async blend(steps: readonly GatedStep[], { frames }: Video): Promise<ProbabilityMap[]> {
    return frames.map(({ timeSeconds: t }) => {
      const after = steps.find(({ timeSeconds }) => timeSeconds >= t) ?? steps.at(-1)!;
      const before = steps.findLast(({ timeSeconds }) => timeSeconds <= t) ?? steps[0]!;
      const span = after.timeSeconds - before.timeSeconds;
      return blend(before.probabilities, after.probabilities, span > 0 ? (t - before.timeSeconds) / span : 0);
    });
  },
  async motion(steps: readonly GatedStep[], { frames, guides }: Video): Promise<ProbabilityMap[]> {
    async function* pictures(): AsyncGenerator<PictureFrame, void, undefined> {
      for (const [i, { timeSeconds }] of frames.entries()) yield { timeSeconds, image: guides[i]! };
    }
    async function* all() {
      yield* steps;
    }
    const rate = { numerator: framesPerSecond, denominator: 1 };
    const maps: ProbabilityMap[] = [];
    for await (const { probabilities } of trackMasks(all(), pictures(), {
      rate,
      edgeGrid: grid,
      onGrid: false,
    }))
      maps.push(probabilities);
    return maps;
  },
};

/** A mask of ones at full size. */
function decided(map: ProbabilityMap, marks?: Marks): Uint8Array {
  const { labels } = maskOf(map, { width: side, height: side, classes: ["sounding"], marks });
  return Uint8Array.from(labels, (label) => (label === 0 ? 0 : 1));
}

/** Intersection over union; 1 where both are empty. */
function iou(mask: Uint8Array, truth: Uint8Array): number {
  let both = 0;
  let either = 0;
  for (let i = 0; i < mask.length; i++) {
    const [a, b] = [mask[i] !== 0, truth[i] !== 0];
    if (a && b) both++;
    if (a || b) either++;
  }
  return either === 0 ? 1 : both / either;
}

/** Means by name. */
class Means {
  readonly #sums = new Map<string, [sum: number, count: number]>();

  add(name: string, value: number): void {
    const [sum, count] = this.#sums.get(name) ?? [0, 0];
    this.#sums.set(name, [sum + value, count + 1]);
  }

  of(name: string): number {
    const [sum, count] = this.#sums.get(name) ?? [0, 0];
    return sum / count;
  }
}

const clips = Number(process.argv[2] ?? 10);
const model = await openModel({ checkpoint: DEMO_MODEL.file, runtime: { threads: 1 } });
const grid = edgeGrid(model);
const refiner = new EdgeRefiner(grid);
const last = fullStep(0).timeSeconds;
for (const task of ["s4", "ms3"] as const) {
  const means = new Means();
  for (let index = 0; index < clips; index++) {
    const video = videoOf({ task, split: "test", index, seed: 1, imageSize: side, framesPerSecond });
    for (const rate of rates) {
      const steps = await stepsOf(video, model, rate);
      for (const [name, way] of Object.entries(ways)) {
        const maps = await way(steps, video);
        for (const [i, { mask: truth, timeSeconds }] of video.frames.entries()) {
          const map = maps[i]!;
          const labeled = Math.abs((timeSeconds % 1) - last) < 1e-6;
          for (const refined of rate === 1 ? [false, true] : [true]) {
            const mask = decided(map, refined ? refiner.refine(map, video.guides[i]!) : undefined);
            const score = iou(mask, truth);
            const kind = refined ? "refined" : "plain";
            means.add(`${rate} ${name} ${kind}`, score);
            if (rate > 1 || name !== "hold" || !labeled) continue;
            means.add(`labeled ${kind}`, score);
            means.add(`contour ${kind}`, contourFscore(mask, truth, side));
          }
        }
      }
    }
    process.stderr.write(`${task} ${index + 1}/${clips}\r`);
  }
  console.log(`\n${task}, ${clips} clips: labeled frames`);
  for (const kind of ["plain", "refined"]) {
    console.log(
      `${kind.padEnd(8)} mIoU ${means.of(`labeled ${kind}`).toFixed(4)}  contour F-score ${means.of(`contour ${kind}`).toFixed(4)}`,
    );
  }
  console.log("all frames: mIoU, and its ratio to that of labeled frames");
  for (const rate of rates) {
    for (const name of Object.keys(ways)) {
      const cells = (rate === 1 ? ["plain", "refined"] : ["refined"]).map((kind) => {
        const value = means.of(`${rate} ${name} ${kind}`);
        return `${kind} ${value.toFixed(4)} (${(value / means.of(`labeled ${kind}`)).toFixed(3)})`;
      });
      console.log(`rate ${String(rate).padEnd(2)} ${name.padEnd(6)} ${cells.join("  ")}`);
    }
  }
}
await model.close();
