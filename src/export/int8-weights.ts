/**
 * The large matrix products of encoders and decoder in 8 bits: weights as signed bytes with a scale per output channel,
 * activations quantised anew at every run (`DynamicQuantizeLinear`), products summed in 32 bits (`MatMulInteger`).
 * ONNX Runtime fuses each chain into one or two kernels; all operators are stock ones.
 *
 * A 3x3 convolution becomes the product of its nine shifted inputs, side by side as bytes, with its kernel: runtimes
 * have fast integer products, but no fast integer convolutions.
 */
import type { OnnxAttribute, OnnxNode, StoredValue } from "../graph/index.js";
import type { StoredData } from "../runtime/runtime.js";
import type { Tensor } from "../tensor.js";
import { castToF32, type StoredGraph, withNodes } from "./stored-graph.js";

/** What is quantised, by state-dict key. The Messenger Blocks are small, and all that is heard passes through them. */
const quantisedParts = /^(visual_encoder|audio_encoder|decoder)\./;

/** Input channels from which a 3x3 convolution gains from 8 bits. */
const wideEnough = 64;

/** Slices up to the end of an axis end here. */
const toTheEnd = 2 ** 31 - 1;

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

  constructor(source: StoredGraph) {
    this.#source = source;
    this.#stored = new Map(source.graph.parameters.map((value) => [value.name, value]));
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

  /** A 3x3 `Conv` of stride 1 with padding 1; false if `node` is none that is quantised. */
  convolution({ op, inputs: [x, w, bias], outputs: [y], attributes }: OnnxNode): boolean {
    const weight = this.#weight(w);
    const [outputs, channels, height, width] = weight?.shape ?? [];
    if (op !== "Conv" || !weight || !x || !y || !outputs || !channels) return false;
    const simple = isOnes(attributes.strides) && isOnes(attributes.pads) && isOnes(attributes.group);
    if (!simple || height !== 3 || width !== 3 || channels < wideEnough) return false;

    const rows = `${y}_rows`;
    this.#add("Transpose", [x], [rows], { perm: { ints: [0, 2, 3, 1] } }); // [N,H,W,C]
    const { bytes, scale, zero } = this.#quantise(rows);
    const padded = `${y}_padded`;
    this.#add("Pad", [bytes, this.#ints([0, 1, 1, 0, 0, 1, 1, 0]), zero], [padded]);
    const ends = [-2, -1, toTheEnd];
    const shifted = ends.flatMap((bottom, u) =>
      ends.map((right, v) => {
        const name = `${y}_shifted_${u}${v}`;
        const range = [this.#ints([u, v]), this.#ints([bottom, right]), this.#ints([1, 2])];
        this.#add("Slice", [padded, ...range], [name]);
        return name;
      }),
    );
    const columns = `${y}_columns`;
    this.#add("Concat", shifted, [columns], { axis: { i: 3 } }); // [N,H,W,9C]
    const kernel = {
      name: weight.name,
      data: channelsLast(weight.data, outputs, channels),
      outputs,
      inputs: 9 * channels,
    };
    const product = `${y}_channels_last`;
    this.#multiply({ bytes: columns, scale, zero }, kernel, bias, product);
    this.#add("Transpose", [product], [y], { perm: { ints: [0, 3, 1, 2] } });
    return true;
  }

  /** The stored f32 data called `name`, if it is of a part that is quantised. */
  #weight(name: string | undefined): (StoredValue & { readonly data: Float32Array }) | undefined {
    if (name === undefined || !quantisedParts.test(name)) return undefined;
    const value = this.#stored.get(name);
    const data = this.#source.weights.get(name)?.data;
    return value && data instanceof Float32Array ? { ...value, data } : undefined;
  }

  /** Bytes of a value; once, however many layers read it. */
  #quantise(x: string): Quantised {
    const known = this.#quantised.get(x);
    if (known !== undefined) return known;
    const made = { bytes: `${x}_u8`, scale: `${x}_u8_scale`, zero: `${x}_u8_zero` };
    this.#add("DynamicQuantizeLinear", [x], [made.bytes, made.scale, made.zero]);
    this.#quantised.set(x, made);
    return made;
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

  #ints(values: readonly number[]): string {
    const name = `ints_${values.join("_")}`;
    this.constants.set(name, {
      dtype: "i64",
      shape: [values.length],
      data: BigInt64Array.from(values, BigInt),
    });
    return name;
  }
}

function isOnes(attribute: OnnxAttribute | undefined): boolean {
  if (attribute === undefined) return false;
  return "i" in attribute ? attribute.i === 1 : "ints" in attribute && attribute.ints.every((n) => n === 1);
}

/** A kernel `[O,C,3,3]` with its channels innermost, `[O,9C]`. */
function channelsLast(kernel: Float32Array, outputs: number, channels: number): Float32Array {
  const out = new Float32Array(kernel.length);
  for (let o = 0; o < outputs; o++) {
    for (let c = 0; c < channels; c++) {
      for (let k = 0; k < 9; k++) {
        out[(o * 9 + k) * channels + c] = kernel[(o * channels + c) * 9 + k] as number;
      }
    }
  }
  return out;
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
