/** Writes pickles (protocol 2) of the form that PyTorch writes, opcode by opcode. */

/** The characters of `text` as bytes. */
export const ascii = (text: string) => Buffer.from(text, "latin1");
/** A reference to `module.name`. */
export const global = (module: string, name: string) => ascii(`c${module}\n${name}\n`);
/** A string. */
export const string = (text: string) =>
  Buffer.concat([ascii("X"), Buffer.from(Uint32Array.of(text.length).buffer), ascii(text)]);
/** A 32-bit integer. */
export const int = (n: number) => Buffer.concat([ascii("J"), Buffer.from(Int32Array.of(n).buffer)]);
/** A tuple of `items`. */
export const tuple = (...items: Uint8Array[]) => Buffer.concat([ascii("("), ...items, ascii("t")]);
/** The result of calling `callee` with `args`. */
export const call = (callee: Uint8Array, ...args: Uint8Array[]) =>
  Buffer.concat([callee, tuple(...args), ascii("R")]);
/** A dictionary; `items` are keys and values in turns. */
export const dict = (...items: Uint8Array[]) => Buffer.concat([ascii("}("), ...items, ascii("u")]);
/** A whole pickle whose value `body` builds. */
export const pickle = (body: Uint8Array) => Buffer.concat([Buffer.of(0x80, 2), body, ascii(".")]);

/** Metadata of a tensor: how `torch._neg_view` and `torch.Tensor.conj` are saved. */
export const flags = (...names: string[]) =>
  dict(...names.flatMap((name) => [string(name), Buffer.of(0x88)]));

/** A float tensor over the storage `key` of `elements` elements. */
export function tensor(
  key: string,
  elements: number,
  shape: number[],
  strides: number[],
  offset = 0,
  metadata?: Uint8Array,
): Buffer {
  const id = tuple(
    string("storage"),
    global("torch", "FloatStorage"),
    string(key),
    string("cpu"),
    int(elements),
  );
  const storage = Buffer.concat([id, ascii("Q")]);
  const sizes = [tuple(...shape.map(int)), tuple(...strides.map(int))];
  const hooks = call(global("collections", "OrderedDict"));
  return call(
    global("torch._utils", "_rebuild_tensor_v2"),
    storage,
    int(offset),
    ...sizes,
    Buffer.of(0x89),
    hooks,
    ...(metadata === undefined ? [] : [metadata]),
  );
}
