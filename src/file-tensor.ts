/** Tensors whose elements stay in a file until they are used, so that a runtime can map them instead. */
import type { Shape, TensorOf } from "./tensor.js";

/** Where bytes lie on a disk: in the file `location` below `folder`. */
export interface FilePlace {
  readonly folder: string;
  readonly location: string;
  readonly offset: number;
  readonly length: number;
  /** 16-bit floats: IEEE halves or bfloat16. Default: 32-bit floats. */
  readonly halves?: "f16" | "bf16" | undefined;
}

const places = new WeakMap<object, FilePlace>();

/** What `fileTensor` is made of. */
export interface FileTensorOptions {
  readonly shape: Shape;
  readonly place: FilePlace;
  /** Reads the elements, when they are first used. */
  readonly read: () => Float32Array<ArrayBuffer>;
}

/** A tensor whose elements are read when they are first used. */
export function fileTensor({ shape, place, read }: FileTensorOptions): TensorOf<"f32"> {
  let data: Float32Array<ArrayBuffer> | undefined;
  const tensor: TensorOf<"f32"> = {
    dtype: "f32",
    shape,
    get data() {
      places.delete(tensor); // whoever has them may change them
      data ??= read();
      return data;
    },
  };
  places.set(tensor, place);
  return tensor;
}

/** Where the elements of a tensor lie in a file, little-endian; `undefined` for those in memory. */
export function placeOf(tensor: object): FilePlace | undefined {
  return places.get(tensor);
}
