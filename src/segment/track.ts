/** Masks for every picture of a video: the model's masks, moved with the picture from step to step. */
import type { ImageTensor } from "../media/resize.js";
import type { FrameRate, PictureFrame } from "../media/video.js";
import { emptyGridPicture, type GridPicture, gridPicture, MOTION_GRID, motionLuma, toGrid } from "./grid.js";
import {
  composed,
  emptyFlow,
  type Flow,
  FlowEstimator,
  type MovingPlane,
  moved,
  reversed,
} from "./motion.js";
import type { ProbabilityMap } from "./probability-map.js";

/** What is tracked: probabilities that hold at a time. */
export interface Anchor {
  readonly timeSeconds: number;
  /** Where the sound begins that the probabilities go with. */
  readonly startSeconds: number;
  readonly probabilities: ProbabilityMap;
}

/** A picture and what is marked in it. */
export interface TrackedPicture<T extends Anchor> {
  /** Number of the picture, from 0 on. */
  readonly index: number;
  readonly timeSeconds: number;
  /** To be used before the next picture is asked for. */
  readonly image: ImageTensor;
  /** The picture on the grid on which edges are fitted. To be used before the next picture is asked for. */
  readonly grid: GridPicture;
  readonly probabilities: ProbabilityMap;
  /** The nearest step. */
  readonly anchor: T;
  /** Whether the step was predicted from this very picture. */
  readonly predicted: boolean;
}

/** Memory for one picture, which a later one takes over: to make it anew costs more than half as much as to fill it. */
class PictureMemory {
  readonly grid: GridPicture;
  /** From the picture to the one before it, to the step before it, and to the step after it. */
  readonly back = emptyFlow();
  readonly toBefore = emptyFlow();
  readonly toAfter = emptyFlow();

  constructor(edgeGrid: number) {
    this.grid = emptyGridPicture(edgeGrid);
  }
}

/** A picture on its way through the tracker. */
interface Picture extends PictureFrame {
  readonly index: number;
  readonly memory: PictureMemory;
  /** From this picture to the one before it; `undefined` for the first one and across a cut. */
  readonly back: Flow | undefined;
  /** To be called once the picture, and the flows in its memory, are of no further use. */
  release(): void;
}

/** A map and the flow from the picture at hand to the one that it lies over. */
interface Moving {
  readonly map: ProbabilityMap;
  readonly flow: Flow;
}

/** The blend of one or two maps, moved to the picture at hand: of the classes that are active in either. */
function arrived(a: Moving, b?: Moving, weight = 0): ProbabilityMap {
  const active = [...new Set([...a.map.activeClasses, ...(b?.map.activeClasses ?? [])])];
  if (active.length === 0) return a.map;
  const plane = ({ map, flow }: Moving, index: number): MovingPlane => {
    const probabilities = map.probabilities.get(index);
    if (!probabilities) throw new RangeError(`track: the map lacks class ${index}`);
    return { plane: probabilities, flow };
  };
  const blended = (index: number) => moved(plane(a, index), a.map, b && plane(b, index), weight);
  const probabilities = new Map(active.map((index) => [index, blended(index)] as const));
  // Of two classes one is what the other leaves.
  const [only] = active;
  const binary = a.map.probabilities.size === 2 && only !== undefined;
  probabilities.set(0, binary ? complement(probabilities.get(only)!) : blended(0));
  return { width: a.map.width, height: a.map.height, probabilities, activeClasses: active };
}

function complement(probabilities: Float32Array): Float32Array {
  const out = new Float32Array(probabilities.length);
  for (let i = 0; i < out.length; i++) out[i] = 1 - probabilities[i]!;
  return out;
}

/** Whether two maps mark much the same: more than half of what either marks is marked in both. */
function agree(a: ProbabilityMap, b: ProbabilityMap): boolean {
  const [outsideA, outsideB] = [a.probabilities.get(0), b.probabilities.get(0)];
  if (!outsideA || !outsideB) return false;
  let both = 0;
  let either = 0;
  for (let i = 0; i < outsideA.length; i++) {
    const [inA, inB] = [outsideA[i]! < 0.5, outsideB[i]! < 0.5];
    if (inA && inB) both++;
    if (inA || inB) either++;
  }
  return 2 * both >= either;
}

/** Reads pictures one by one and finds their motion. */
class PictureReader {
  readonly #pictures: AsyncIterator<PictureFrame, void, undefined>;
  readonly #edgeGrid: number;
  readonly #motion = new FlowEstimator();
  readonly #free: PictureMemory[] = [];
  /** The luma of the next picture, and of the one before it. */
  #luma: Float32Array = new Float32Array(MOTION_GRID ** 2);
  #previous: Float32Array = new Float32Array(MOTION_GRID ** 2);
  #index = 0;

  constructor(pictures: AsyncIterator<PictureFrame, void, undefined>, edgeGrid: number) {
    this.#pictures = pictures;
    this.#edgeGrid = edgeGrid;
  }

  /** The number of the next picture. */
  get index(): number {
    return this.#index;
  }

  async next(): Promise<Picture | undefined> {
    const next = await this.#pictures.next();
    if (next.done) return undefined;
    const { release, ...picture } = next.value;
    const memory = this.#free.pop() ?? new PictureMemory(this.#edgeGrid);
    gridPicture(picture.image, memory.grid);
    const luma = motionLuma(memory.grid, this.#luma);
    const isFirst = this.#index === 0;
    const back = isFirst ? undefined : this.#motion.flow(luma, this.#previous, memory.back);
    this.#luma = this.#previous;
    this.#previous = luma;
    return {
      ...picture,
      ...{ index: this.#index++, memory, back },
      release: () => {
        this.#free.push(memory);
        release?.();
      },
    };
  }
}

/** A step, and its map as it is moved. */
interface Held<T> {
  readonly step: T;
  readonly map: ProbabilityMap;
}

/** A map of two classes on a grid of `side` x `side`, which is all that the refinement of edges looks at. */
function coarse(map: ProbabilityMap, side: number): ProbabilityMap {
  if (map.probabilities.size !== 2 || map.activeClasses.length === 0) return map;
  const planes = [...map.probabilities].map(
    ([index, plane]) => [index, toGrid(plane, { width: map.width, height: map.height, side })] as const,
  );
  return { width: side, height: side, probabilities: new Map(planes), activeClasses: map.activeClasses };
}

/** Options of `trackMasks`. */
export interface TrackOptions {
  /** Pictures per second. */
  readonly rate: FrameRate;
  /** Cells per row and column of the grid on which edges are fitted, see `edgeGrid`. */
  readonly edgeGrid: number;
  /** Whether maps of two classes are moved on that grid, for callers that fit their edges afterwards. */
  readonly onGrid: boolean;
}

/**
 * Marks every picture: those between two steps with the masks of both, each moved along the picture's motion and blended by
 * their distance in time. Where the two go with different sound and mark different things, a picture has the mask of its
 * own second. Those before the first step and after the last with that one's. Across a cut nothing is moved:
 * a picture then takes the mask of the step in its own shot, or, without one, of the nearest step. Steps are
 * asked for as pictures need them. Memory holds the pictures between two steps.
 */
export async function* trackMasks<T extends Anchor>(
  steps: AsyncIterable<T>,
  pictures: AsyncIterator<PictureFrame, void, undefined>,
  { rate, edgeGrid, onGrid }: TrackOptions,
): AsyncGenerator<TrackedPicture<T>, void, undefined> {
  const reader = new PictureReader(pictures, edgeGrid);
  let before: Held<T> | undefined;
  for await (const step of steps) {
    const after = { step, map: onGrid ? coarse(step.probabilities, edgeGrid) : step.probabilities };
    const target = Math.floor((step.timeSeconds * rate.numerator) / rate.denominator + 1e-6);
    const between: Picture[] = [];
    while (reader.index <= target) {
      const picture = await reader.next();
      if (!picture) break;
      between.push(picture);
    }
    yield* marked(before, between, after);
    before = after;
  }
  if (!before) return;
  const { map, step: anchor } = before;
  let previous: { readonly picture: Picture; readonly toBefore: Flow | undefined } | undefined;
  for (let picture = await reader.next(); picture; picture = await reader.next()) {
    const { back, memory } = picture;
    const beyond = previous?.toBefore;
    const toBefore = previous ? back && beyond && composed(back, beyond, memory.toBefore) : back;
    previous?.picture.release();
    const probabilities = toBefore ? arrived({ map, flow: toBefore }) : map;
    yield { ...commonFields(picture), probabilities, anchor, predicted: false };
    previous = { picture, toBefore };
  }
  previous?.picture.release();
}

/** The fields that a picture and a `TrackedPicture` share. */
function commonFields({
  index,
  timeSeconds,
  image,
  memory,
}: Picture): Pick<TrackedPicture<Anchor>, "index" | "timeSeconds" | "image" | "grid"> {
  return { index, timeSeconds, image, grid: memory.grid };
}

/** The pictures after the step `before`, the last of which is that of the step `after`. */
function* marked<T extends Anchor>(
  before: Held<T> | undefined,
  pictures: readonly Picture[],
  after: Held<T>,
): Generator<TrackedPicture<T>, void, undefined> {
  const count = pictures.length;
  // From each picture to the last one, along the pictures between.
  const ahead: (Flow | undefined)[] = new Array(count).fill(undefined);
  for (let k = count - 2; k >= 0; k--) {
    const { toAfter } = pictures[k]!.memory;
    const back = pictures[k + 1]?.back;
    const next = back && reversed(back, toAfter);
    const rest = ahead[k + 1];
    ahead[k] = next && (k === count - 2 ? next : rest && composed(next, rest, toAfter));
  }
  const flows: (Flow | undefined)[] = [];
  let toBefore: Flow | undefined;
  for (const [k, { back, memory }] of pictures.entries()) {
    toBefore = k === 0 ? back : back && toBefore && composed(back, toBefore, memory.toBefore);
    flows.push(toBefore);
  }
  // Where the sound changed between the steps, a picture is marked by the sound of its own second alone.
  const changed =
    before !== undefined &&
    before.step.startSeconds !== after.step.startSeconds &&
    !(toBefore && agree(arrived({ map: before.map, flow: toBefore }), after.map));
  for (const [k, picture] of pictures.entries()) {
    if (k === count - 1) {
      yield {
        ...commonFields(picture),
        probabilities: after.step.probabilities,
        anchor: after.step,
        predicted: true,
      };
      picture.release();
      return;
    }
    const weight = (k + 1) / count;
    const early = changed ? picture.timeSeconds < after.step.startSeconds : weight < 0.5;
    const nearest = before && early ? before : after;
    const [toBefore, toAfter] = [flows[k], ahead[k]];
    const old = before && toBefore && { map: before.map, flow: toBefore };
    const coming = toAfter && { map: after.map, flow: toAfter };
    const pair = changed && old && coming ? [early ? old : coming] : [old ?? coming, old && coming];
    const [first, second] = pair;
    const probabilities = first ? arrived(first, second, weight) : nearest.map;
    yield { ...commonFields(picture), probabilities, anchor: nearest.step, predicted: false };
    picture.release();
  }
}
