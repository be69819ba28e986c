/**
 * The large matrix products of encoders and decoder in 8 bits: weights as signed bytes with a scale per output channel,
 * activations quantised anew at every run (`DynamicQuantizeLinear`), products summed in 32 bits (`MatMulInteger`).
 * ONNX Runtime fuses each chain into one or two kernels; all operators are stock ones.
 *
 * A 3x3 convolution becomes the product of its windows, gathered as bytes, with its kernel: runtimes have fast integer
 * products, but no fast integer convolutions.
 */
import type { OnnxAttribute, OnnxNode, StoredValue } from "../graph/index.js";
import type { StoredData } from "../runtime/runtime.js";
import type { Shape, Tensor } from "../tensor.js";
import { castToF32, type StoredGraph, withNodes } from "./stored-graph.js";

/**
 * What is quantised, by state-dict key. The Messenger Blocks are small, and all that is heard passes through them; the
 * patch embeddings take a hundredth of the time and are responsible for more of the flipped pixels.
 */
const quantisedParts = /^(visual_encoder(?!\.patch_embed)|audio_encoder|decoder)\./;

/** Weights from which a layer is quantised: one with fewer gains little and flips as many pixels. */
const manyWeights = 100_000;

/** Operators that move elements whatever their type. */
const moves: ReadonlySet<string> = new Set(["Reshape", "Transpose"]);

/** A graph with its quantised layers counted. */
export interface QuantisedGraph extends StoredGraph {
  readonly quantised: number;
}

/** Quantises the layers of encoders and decoder that gain from it; others stay as they are. */
export function int8Weights(source: StoredGraph): QuantisedGraph {
  const rewriter = new Rewriter(source);
  let quantised = 0;
  for (const node of source.graph.nodes) {
    if (rewriter.product(node) || rewriter.convolution(node)) quantised++;
    else rewriter.nodes.push(node);
  }
  return { ...withNodes(source, rewriter.nodes, rewriter.weights, rewriter.constants), quantised };
}

/** Quantised bytes, their scale and their zero point: names of values. */
interface Quantised {
  readonly bytes: string;
  readonly scale: string;
  readonly zero: string;
}

/** A weight to quantise: `f32[outputs,inputs]`, a row per output channel. */
interface Rows {
  readonly name: string;
  readonly data: Float32Array;
  readonly outputs: number;
  readonly inputs: number;
}

class Rewriter {
  readonly nodes: OnnxNode[] = [];
  readonly weights = new Map<string, StoredValue & StoredData>();
  readonly constants = new Map<string, Tensor>();
  readonly #source: StoredGraph;
  readonly #stored: ReadonlyMap<string, StoredValue>;
  readonly #quantised = new Map<string, Quantised>();
  /** The source's nodes by what they give. */
  readonly #makers: ReadonlyMap<string, OnnxNode>;

  constructor(source: StoredGraph) {
    this.#source = source;
    this.#stored = new Map(source.graph.parameters.map((value) => [value.name, value]));
    this.#makers = new Map(source.graph.nodes.flatMap((node) => node.outputs.map((y) => [y, node])));
  }

  /** A `Gemm` with weights `[O,I]`; false if `node` is none that is quantised. */
  product({ op, inputs: [x, w, bias], outputs: [y] }: OnnxNode): boolean {
    const weight = this.#weight(w);
    const [outputs, inputs] = weight?.shape ?? [];
    if (op !== "Gemm" || !weight || !x || !y || !outputs || !inputs) return false;
    const rows = { name: weight.name, data: weight.data, outputs, inputs };
    this.#multiply(this.#quantise(x), rows, bias, y);
    return true;
  }

  /** A `Conv` in one group with weights `[O,C,kh,kw]`; false if `node` is none that is quantised. */
  convolution({ op, inputs: [x, w, bias], outputs: [y], attributes }: OnnxNode): boolean {
    const weight = this.#weight(w);
    const map = this.#source.graph.shapes.get(x ?? "");
    if (op !== "Conv" || !weight || !x || !y || !map || intOf(attributes.group, 1) !== 1) return false;
    const windows = windowsOf(map, weight.shape, intOf(attributes.strides, 1), intOf(attributes.pads, 0));
    const rows = kernelRows(weight);
    const [batch = 0] = map;
    const { height, width } = windows;

    const input = this.#quantise(this.#channelsLast(x)); // [N,H,W,C]
    const seen = this.#windows(input, windows, y);
    const columns = this.#reshape(seen, [batch * height * width, rows.inputs], `${y}_columns`);
    this.#multiply({ ...input, bytes: columns }, rows, bias, `${y}_rows`);
    const out = this.#reshape(`${y}_rows`, [batch, height, width, rows.outputs], `${y}_channels_last`);
    this.#add("Transpose", [out], [y], { perm: { ints: [0, 3, 1, 2] } });
    return true;
  }

  /** What every output pixel of `y` sees of `[N,H,W,C]`: `[N,H'*W'*k*k,C]`. */
  #windows({ bytes, zero }: Quantised, windows: Windows, y: string): string {
    const { map, padding, places } = windows;
    const [batch = 0, channels = 0, height = 0, width = 0] = map;
    if (places === undefined) return bytes;
    const pads = this.#ints([0, padding, padding, 0, 0, padding, padding, 0]);
    this.#add("Pad", [bytes, pads, zero], [`${y}_padded`]);
    const size = (height + 2 * padding) * (width + 2 * padding);
    const pixels = this.#reshape(`${y}_padded`, [batch, size, channels], `${y}_pixels`);
    const index = this.#constant(`${y}_places`, places);
    this.#add("Gather", [pixels, index], [`${y}_windows`], { axis: { i: 1 } });
    return `${y}_windows`;
  }

  /** The stored f32 data called `name`, if it is of a part that is quantised. */
  #weight(name: string | undefined): (StoredValue & { readonly data: Float32Array }) | undefined {
    if (name === undefined || !quantisedParts.test(name)) return undefined;
    const value = this.#stored.get(name);
    const data = this.#source.weights.get(name)?.data;
    const large = data instanceof Float32Array && data.length >= manyWeights;
    return value && large ? { ...value, data } : undefined;
  }

  /** A map `[N,C,H,W]` as `[N,H,W,C]`. */
  #channelsLast(x: string): string {
    const maker = this.#makers.get(x);
    const [origin] = maker?.inputs ?? [];
    if (maker?.op === "Transpose" && origin && isPerm(maker.attributes.perm, [0, 3, 1, 2])) return origin;
    const rows = `${x}_turned`;
    if (!this.#quantised.has(rows)) this.#add("Transpose", [x], [rows], { perm: { ints: [0, 2, 3, 1] } });
    return rows;
  }

  /** Bytes of a value; once, however many layers read it. */
  #quantise(x: string): Quantised {
    const known = this.#quantised.get(x);
    if (known !== undefined) return known;
    const made = this.#moved(x) ?? this.#dynamic(x);
    this.#quantised.set(x, made);
    return made;
  }

  #dynamic(x: string): Quantised {
    const made = { bytes: `${x}_u8`, scale: `${x}_u8_scale`, zero: `${x}_u8_zero` };
    this.#add("DynamicQuantizeLinear", [x], [made.bytes, made.scale, made.zero]);
    return made;
  }

  /** Bytes of what is only moved are moved bytes. */
  #moved(x: string): Quantised | undefined {
    const maker = this.#makers.get(x);
    const [origin, ...how] = maker?.inputs ?? [];
    if (maker === undefined || origin === undefined || !moves.has(maker.op)) return undefined;
    const { bytes, ...scaling } = this.#quantise(origin);
    const moved = `${x}_u8`;
    this.#add(maker.op, [bytes, ...how], [moved], maker.attributes);
    return { ...scaling, bytes: moved };
  }

  /** y = x rows^T + bias, the chain that the runtime fuses. */
  #multiply(x: Quantised, rows: Rows, bias: string | undefined, y: string): void {
    const { name, outputs, inputs } = rows;
    const { values, scales } = quantiseRows(rows.data, outputs, inputs);
    const [bytes, scale] = [`${name}.int8`, `${name}.scale`];
    this.weights.set(bytes, { name: bytes, dtype: "i8", shape: [inputs, outputs], data: values });
    this.weights.set(scale, { name: scale, dtype: "f32", shape: [outputs], data: scales });
    const product = bias === undefined ? y : `${y}_product`;
    this.#add("MatMulInteger", [x.bytes, bytes, x.zero], [`${y}_i32`]);
    this.nodes.push(castToF32(`${y}_i32`, `${y}_f32`));
    this.#add("Mul", [x.scale, scale], [`${y}_scale`]);
    this.#add("Mul", [`${y}_f32`, `${y}_scale`], [product]);
    if (bias !== undefined) this.#add("Add", [product, bias], [y]);
  }

  #add(op: string, inputs: string[], outputs: string[], attributes: OnnxNode["attributes"] = {}): void {
    this.nodes.push({ op, domain: "", inputs, outputs, attributes });
  }

  #reshape(x: string, shape: Shape, y: string): string {
    this.#add("Reshape", [x, this.#ints(shape)], [y]);
    return y;
  }

  #ints(values: readonly number[]): string {
    return this.#constant(`ints_${values.join("_")}`, values);
  }

  #constant(name: string, values: readonly number[]): string {
    this.constants.set(name, {
      dtype: "i64",
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
    return name;
  }
}

function isPerm(attribute: OnnxAttribute | undefined, perm: readonly number[]): boolean {
  return attribute !== undefined && "ints" in attribute && attribute.ints.join() === perm.join();
}

/** A number, or the first of several: those of our convolutions are the same for both axes. */
function intOf(attribute: OnnxAttribute | undefined, otherwise: number): number {
  if (attribute === undefined) return otherwise;
  return "i" in attribute
    ? attribute.i
    : (("ints" in attribute ? attribute.ints[0] : undefined) ?? otherwise);
}

/** What the output pixels of a convolution see. */
interface Windows {
  /** Shape of the input, `[N,C,H,W]`. */
  readonly map: Shape;
  readonly padding: number;
  /** Size of the output. */
  readonly height: number;
  readonly width: number;
  /** For every output pixel, row by row, the pixels of the padded input that it sees; absent if it sees its own. */
  readonly places?: readonly number[] | undefined;
}

/** The windows of a kernel `[O,C,kh,kw]`. */
function windowsOf(map: Shape, kernel: Shape, stride: number, padding: number): Windows {
  const [, , inputHeight = 0, inputWidth = 0] = map;
  const [, , kernelHeight = 0, kernelWidth = 0] = kernel;
  const columns = inputWidth + 2 * padding;
  const height = Math.floor((inputHeight + 2 * padding - kernelHeight) / stride) + 1;
  const width = Math.floor((columns - kernelWidth) / stride) + 1;
  const sizes = { map, padding, height, width };
  if (kernelHeight === 1 && kernelWidth === 1 && stride === 1 && padding === 0) return sizes;
  const places: number[] = [];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      for (let u = 0; u < kernelHeight; u++) {
        for (let v = 0; v < kernelWidth; v++) places.push((i * stride + u) * columns + j * stride + v);
      }
    }
  }
  return { ...sizes, places };
}

/** A kernel `[O,C,kh,kw]` with its channels innermost, `[O,kh*kw*C]`. */
function kernelRows({ name, data, shape }: StoredValue & { readonly data: Float32Array }): Rows {
  const [outputs = 0, channels = 0, height = 0, width = 0] = shape;
  const positions = height * width;
  const out = new Float32Array(data.length);
  for (let o = 0; o < outputs; o++) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < positions; k++) {
        out[(o * positions + k) * channels + c] = data[(o * channels + c) * positions + k] as number;
      }
    }
  }
  return { name, data: out, outputs, inputs: positions * channels };
}

/**
 * Symmetric bytes per output channel: `w[o,i]` is about `values[i,o] * scales[o]`, with |values| at most 127.
 * w `f32[outputs,inputs]` -> values `i8[inputs,outputs]` (transposed, as `MatMulInteger` takes them), scales `f32[outputs]`
 */
export function quantiseRows(
  w: Float32Array,
  outputs: number,
  inputs: number,
): { readonly values: Int8Array<ArrayBuffer>; readonly scales: Float32Array<ArrayBuffer> } {
  const values = new Int8Array(outputs * inputs);
  const scales = new Float32Array(outputs);
  for (let o = 0; o < outputs; o++) {
    let largest = 0;
    for (let i = 0; i < inputs; i++) largest = Math.max(largest, Math.abs(w[o * inputs + i] as number));
    const scale = Math.fround(largest / 127);
    scales[o] = scale;
    if (scale === 0) continue;
    for (let i = 0; i < inputs; i++) {
      values[i * outputs + o] = Math.max(
        -127,
        Math.min(127, Math.round((w[o * inputs + i] as number) / scale)),
      );
    }
  }
  return { values, scales };
}
