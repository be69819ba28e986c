/**
 * The large matrix products of a graph in 8 bits: weights as signed bytes with a scale per output channel, activations
 * quantized anew at every run (`DynamicQuantizeLinear`), products summed in 32 bits (`MatMulInteger`). All operators are
 * stock ones; ONNX Runtime fuses each product with what scales it and with its bias.
 *
 * Layers are found in the graph of values: linear maps and convolutions whose weights are stored. A convolution becomes
 * the product of its windows, gathered as bytes, with its kernel: runtimes have fast integer products, but no fast
 * integer convolutions.
 */
import {
  type Convolution,
  convolutionOf,
  dim,
  type Emitter,
  elementType,
  type GraphNode,
  type StoredValue,
  shape4,
  type Value,
} from "../graph/index.js";
import type { StoredData } from "../runtime/runtime.js";
import type { Shape } from "../tensor.js";
import { type FoldedWeights, foldedGraph, parametersOf, storedWeight } from "./fold-weights.js";
import { channelsInnermost, quantizeRows } from "./int8-weights.js";
import { type StoredGraph, withNodes } from "./stored-graph.js";

/** Which layers to quantize. */
export interface Int8Options {
  /** Keys of parameters whose layers stay in full precision. Default: none. */
  readonly fullPrecision?: ReadonlySet<string> | undefined;
  /**
   * Weights from which on a layer is quantized. Default: 100,000. Below, 8 bits gain nothing: 15680x64 by 64x64 takes
   * as long in either precision (`docs/log.md`).
   */
  readonly minWeights?: number | undefined;
}

/** A graph with its quantized layers counted. */
export interface QuantizedGraph extends StoredGraph {
  readonly quantized: number;
}

/**
 * Emits `outputs` with the linear maps and convolutions that gain from it in 8 bits. Throws `CheckpointError` for
 * weights that are not finite.
 */
export function int8Graph(
  outputs: Readonly<Record<string, Value>>,
  folded: FoldedWeights,
  { fullPrecision = new Set(), minWeights = 100_000 }: Int8Options = {},
): QuantizedGraph {
  const added: AddedWeights = new Map();
  let quantized = 0;
  const stored = foldedGraph(outputs, folded, (node, emitter, nameOf) => {
    const layer = layerOf(node, folded);
    if (layer === undefined || layer.data.length < minWeights) return undefined;
    if (parametersOf(layer.w).some((key) => fullPrecision.has(key))) return undefined;
    quantized++;
    const writer = new LayerWriter(emitter, nameOf, added);
    return [layer.windows ? writer.convolution(layer, layer.windows) : writer.linear(layer)];
  });
  return { ...withNodes(stored, stored.graph.nodes, added), quantized };
}

/** Weights that quantized layers read, by name. */
type AddedWeights = Map<string, StoredValue & StoredData>;

/** A linear map, or a convolution with its windows. */
interface Layer {
  readonly x: Value;
  /** Stored weights, `[O,I]` or `[O,C,kh,kw]`, their name and their data. */
  readonly w: Value;
  readonly name: string;
  readonly data: Float32Array;
  readonly bias: Value | undefined;
  readonly windows: Windows | undefined;
}

/** The layer that `node` computes, if its weights are stored and in one group. */
function layerOf(node: GraphNode, folded: FoldedWeights): Layer | undefined {
  const convolution = convolutionOf(node);
  if (convolution === undefined && node.op !== "Gemm") return undefined;
  const [x, w, bias] = node.inputs;
  const weight = w && storedWeight(w, folded);
  if (x === undefined || w === undefined || weight?.tensor.dtype !== "f32") return undefined;
  if (convolution !== undefined && convolution.groups !== 1) return undefined;
  const windows = convolution && windowsOf(convolution);
  return { x, w, name: weight.name, data: weight.tensor.data, bias, windows };
}

/** Quantized bytes, their scale and their zero point: names of values. */
interface Quantized {
  readonly bytes: string;
  readonly scale: string;
  readonly zero: string;
}

/** Writes a layer in 8 bits. What several layers need alike, the emitter merges. */
class LayerWriter {
  readonly #emitter: Emitter;
  readonly #nameOf: (v: Value) => string;
  readonly #added: AddedWeights;

  constructor(emitter: Emitter, nameOf: (v: Value) => string, added: AddedWeights) {
    this.#emitter = emitter;
    this.#nameOf = nameOf;
    this.#added = added;
  }

  /** `[N,I]` -> `[N,O]` */
  linear(layer: Layer): string {
    return this.#product(this.#bytesOf(layer.x), layer, layer.data);
  }

  /** `[N,C,H,W]` -> `[N,O,H',W']` */
  convolution(layer: Layer, windows: Windows): string {
    const [outputs, channels, kernelHeight, kernelWidth] = shape4(layer.w, "int8");
    const positions = kernelHeight * kernelWidth;
    const { height, width } = windows;
    const batch = dim(layer.x, 0);
    const input = this.#channelsLast(layer.x); // [N,H,W,C]
    const seen = this.#windows(input, layer.x, windows);
    const columns = this.#reshape(seen, [batch * height * width, positions * channels]);
    const rows = channelsInnermost(layer.data, outputs, positions);
    const product = this.#product({ ...input, bytes: columns }, layer, rows);
    const map = this.#reshape(product, [batch, height, width, outputs]);
    return this.#emitter.op("Transpose", [map], { perm: { ints: [0, 3, 1, 2] } });
  }

  /** What every output pixel sees of `[N,H,W,C]`: `[N,H'*W'*kh*kw,C]`. */
  #windows({ bytes, zero }: Quantized, x: Value, { padding, places }: Windows): string {
    if (places === undefined) return bytes;
    const [batch, channels, height, width] = shape4(x, "int8");
    const pads = this.#emitter.ints([0, padding, padding, 0, 0, padding, padding, 0]);
    const padded = padding === 0 ? bytes : this.#emitter.op("Pad", [bytes, pads, zero]);
    const size = (height + 2 * padding) * (width + 2 * padding);
    const pixels = this.#reshape(padded, [batch, size, channels]);
    return this.#emitter.op("Gather", [pixels, this.#emitter.ints(places)], { axis: { i: 1 } });
  }

  /** Bytes of a value. Those of a value that is only moved are moved bytes. */
  #bytesOf(v: Value): Quantized {
    const { op, inputs } = v.node;
    const [origin] = inputs;
    if (origin === undefined || (op !== "Reshape" && op !== "Transpose")) return this.#quantize(v);
    const { bytes, scale, zero } = this.#bytesOf(origin);
    const [moved] = v.node.emit(this.#emitter, [bytes]);
    if (moved === undefined) throw new Error(`int8: ${op} has no output`);
    return { bytes: moved, scale, zero };
  }

  #quantize(v: Value): Quantized {
    const node = { op: "DynamicQuantizeLinear", inputs: [this.#nameOf(v)], outputs: 3 };
    const [bytes, scale, zero] = this.#emitter.node(node);
    if (scale === undefined || zero === undefined) {
      throw new Error("int8: expected bytes, scale and zero point");
    }
    // ONNX Runtime does not fuse this into the product when the scale takes another way. On ARM processors with SME, its
    // kernel for both at once quantizes every row of x by itself: other numbers than everywhere else.
    return { bytes, scale: this.#reshape(scale, [1]), zero };
  }

  /** Bytes of a map `[N,C,H,W]` as `[N,H,W,C]`. */
  #channelsLast(map: Value): Quantized {
    const [origin] = map.node.inputs;
    if (origin !== undefined && isTranspose(map, [0, 3, 1, 2])) return this.#bytesOf(origin);
    const { bytes, scale, zero } = this.#bytesOf(map);
    return { bytes: this.#emitter.op("Transpose", [bytes], { perm: { ints: [0, 2, 3, 1] } }), scale, zero };
  }

  /** x rows^T + bias, the chain that the runtime fuses.  rows `f32[O,I]` */
  #product(x: Quantized, { name, w, bias }: Layer, rows: Float32Array): string {
    const [bytes, scales] = [`${name}.int8`, `${name}.scale`];
    if (!this.#added.has(bytes)) {
      const outputs = dim(w, 0);
      const inputs = rows.length / outputs;
      const quantized = quantizeRows(rows, outputs, { name });
      this.#added.set(bytes, { name: bytes, dtype: "i8", shape: [inputs, outputs], data: quantized.values });
      this.#added.set(scales, { name: scales, dtype: "f32", shape: [outputs], data: quantized.scales });
    }
    const sums = this.#emitter.op("MatMulInteger", [x.bytes, bytes, x.zero]);
    const floats = this.#emitter.op("Cast", [sums], { to: { i: elementType.f32 } });
    const scale = this.#emitter.op("Mul", [x.scale, scales]);
    const product = this.#emitter.op("Mul", [floats, scale]);
    return bias === undefined ? product : this.#emitter.op("Add", [product, this.#nameOf(bias)]);
  }

  #reshape(x: string, shape: Shape): string {
    return this.#emitter.op("Reshape", [x, this.#emitter.ints(shape)]);
  }
}

function isTranspose({ node: { op, attrs } }: Value, perm: readonly number[]): boolean {
  return op === "Transpose" && Array.isArray(attrs.perm) && attrs.perm.join() === perm.join();
}

/** What the output pixels of a convolution see. */
interface Windows {
  readonly padding: number;
  /** Size of the output. */
  readonly height: number;
  readonly width: number;
  /** For every output pixel, row by row, the pixels of the padded input that it sees; absent if it sees its own. */
  readonly places?: readonly number[] | undefined;
}

function windowsOf({ x, w, stride, padding, dilation }: Convolution): Windows {
  const [, , inputHeight, inputWidth] = shape4(x, "int8");
  const [, , kernelHeight, kernelWidth] = shape4(w, "int8");
  const columns = inputWidth + 2 * padding;
  const steps = (size: number, kernel: number): number =>
    Math.floor((size + 2 * padding - (kernel - 1) * dilation - 1) / stride) + 1;
  const [height, width] = [steps(inputHeight, kernelHeight), steps(inputWidth, kernelWidth)];
  if (kernelHeight === 1 && kernelWidth === 1 && stride === 1 && padding === 0) {
    return { padding, height, width };
  }
  const places: number[] = [];
  for (let i = 0; i < height; i++) {
    for (let j = 0; j < width; j++) {
      for (let u = 0; u < kernelHeight; u++) {
        for (let v = 0; v < kernelWidth; v++) {
          places.push((i * stride + u * dilation) * columns + j * stride + v * dilation);
        }
      }
    }
  }
  return { padding, height, width, places };
}
