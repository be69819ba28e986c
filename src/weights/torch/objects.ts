/** The tensors in pickles of PyTorch: storages, and views of them. */
import { type Shape, sizeOf, type Tensor } from "../../tensor.js";
import { type DiskFile, type ReadOptions, tensorInPlace } from "../byte-source.js";
import { decodeTensor, ELEMENTS, type ElementType } from "../elements.js";
import { PickleObject } from "./pickle.js";

type StorageSource = Pick<TorchStorage, "type" | "size" | "read"> &
  Partial<Pick<TorchStorage, "unpackedBytes" | "place">>;

/** Bytes that several tensors may share. */
export class TorchStorage extends PickleObject {
  /** Element type; `undefined` for an untyped storage, whose tensors name their own. */
  readonly type: ElementType | undefined;
  /** Bytes. */
  readonly size: number;
  /** Reads a part of it into a buffer of its own. */
  readonly read: (offset: number, length: number) => Promise<Uint8Array<ArrayBuffer>>;
  /** Where its bytes lie as they are, checked; `undefined` where they cannot be used in place. */
  readonly place:
    | (() => Promise<{ readonly disk: DiskFile; readonly offset: number } | undefined>)
    | undefined;
  /** Bytes that stay in memory after the first read: all of a packed storage, which is unpacked as a whole. */
  readonly unpackedBytes: number;

  constructor({ type, size, read, place, unpackedBytes = 0 }: StorageSource) {
    super("storage");
    this.type = type;
    this.size = size;
    this.read = read;
    this.place = place;
    this.unpackedBytes = unpackedBytes;
  }
}

/** Where the elements of a tensor lie in its storage, in elements. */
export interface TensorView {
  readonly offset: number;
  readonly shape: Shape;
  readonly strides: readonly number[];
  /** The stored values are the negatives of the tensor's (`torch._neg_view`). */
  readonly negated?: boolean | undefined;
}

/** A tensor that is not yet read: element `i` lies at `offset + sum(i[d] * strides[d])` of its storage. */
export class TorchTensor extends PickleObject {
  readonly storage: TorchStorage;
  readonly type: ElementType;
  readonly shape: Shape;
  readonly #view: TensorView;

  constructor(storage: TorchStorage, type: ElementType, view: TensorView) {
    super("tensor");
    this.storage = storage;
    this.type = type;
    this.shape = view.shape;
    this.#view = view;
  }

  /** Elements of the storage from the first to the last that the tensor touches. */
  get span(): number {
    if (sizeOf(this.shape) === 0) return 0;
    return this.#axes().reduce((sum, { size, stride }) => sum + (size - 1) * stride, 1);
  }

  /** Bytes that reading it takes beside an unpacked storage: what is read and what is returned. */
  get cost(): number {
    const { bytes } = ELEMENTS[this.type];
    return (this.span + sizeOf(this.shape)) * Math.max(bytes, 4);
  }

  /**
   * Reads the elements into row-major order. The tensor shares its data with no other. With `inPlace`, they stay in the
   * file where they lie there in that form.
   */
  async load({ inPlace = false }: ReadOptions = {}): Promise<Tensor> {
    const { bytes } = ELEMENTS[this.type];
    if (inPlace && !this.#view.negated && this.#isContiguous()) {
      const place = await this.storage.place?.();
      const offset = place && place.offset + this.#view.offset * bytes;
      const { type, shape } = this;
      const placed =
        place && offset !== undefined && tensorInPlace({ disk: place.disk, offset, type, shape });
      if (placed) return placed;
    }
    const raw = await this.storage.read(this.#view.offset * bytes, this.span * bytes);
    const tensor = decodeTensor(this.#isContiguous() ? raw : this.#gather(raw), this.type, this.shape);
    return this.#view.negated ? negate(tensor) : tensor;
  }

  #axes(): { size: number; stride: number }[] {
    const { strides } = this.#view;
    return this.shape.map((size, axis) => ({ size, stride: strides[axis] ?? 0 }));
  }

  #isContiguous(): boolean {
    let expected = 1;
    for (const { size, stride } of this.#axes().toReversed()) {
      if (size !== 1 && stride !== expected) return sizeOf(this.shape) === 0;
      expected *= size;
    }
    return true;
  }

  /** The bytes of the elements in row-major order. */
  #gather({ buffer }: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const { bytes } = ELEMENTS[this.type];
    const out = new Uint8Array(sizeOf(this.shape) * bytes);
    if (bytes === 1) copyStrided(new Uint8Array(buffer), out, this.#axes());
    else if (bytes === 2) copyStrided(new Uint16Array(buffer), new Uint16Array(out.buffer), this.#axes());
    else if (bytes === 4) copyStrided(new Uint32Array(buffer), new Uint32Array(out.buffer), this.#axes());
    else copyStrided(new BigUint64Array(buffer), new BigUint64Array(out.buffer), this.#axes());
    return out;
  }
}

type Axis = { readonly size: number; readonly stride: number };

/** Copies the elements that `axes` (outermost first) select from `from` to `to`, in row-major order. */
function copyStrided<E, A extends { [index: number]: E; readonly length: number }>(
  from: A,
  to: A,
  axes: readonly Axis[],
): void {
  // Axes of one element select nothing. Without them a file cannot make the recursion deep.
  const outer = axes.filter(({ size }) => size !== 1);
  const inner = outer.pop() ?? { size: 1, stride: 0 };
  let next = 0;
  const copy = (depth: number, start: number): void => {
    const axis = outer[depth];
    if (axis === undefined) {
      for (let i = 0, at = start; i < inner.size; i++, at += inner.stride) to[next++] = from[at] as E;
    } else {
      for (let i = 0; i < axis.size; i++) copy(depth + 1, start + i * axis.stride);
    }
  };
  copy(0, 0);
}

/** The tensor with the sign of every float changed, in place. */
function negate(tensor: Tensor): Tensor {
  if (tensor.dtype !== "f32" && tensor.dtype !== "f64") return tensor;
  const { data } = tensor;
  data.forEach((value, i) => {
    data[i] = -value;
  });
  return tensor;
}
