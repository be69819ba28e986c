/** Checks a graph before it is emitted, so that a bad rule is named here and not by the runtime. */
import { sameShape } from "./shapes.js";
import { topologicalOrder, type Value } from "./value.js";

/**
 * Throws `Error` unless every node's inputs precede it, its rules give the types it was made with,
 * every size is a positive whole number, and named leaves of one name are alike.
 */
export function verify(outputs: readonly Value[]): void {
  const leaves = new Map<string, Value>();
  for (const node of topologicalOrder(outputs)) {
    const where = `graph: ${node.op} of [${node.inputs.map((v) => v.shape.join("x")).join("; ")}]`;
    const types = node.infer();
    node.outputs.forEach((y, i) => {
      const type = types[i];
      if (type === undefined || type.dtype !== y.dtype || !sameShape(type.shape, y.shape)) {
        throw new Error(`${where}: output ${i} is ${y.dtype}[${y.shape}], its rule says otherwise`);
      }
      if (!y.shape.every((d) => Number.isInteger(d) && d > 0)) {
        throw new Error(`${where}: output ${i} has a size that is not a positive whole number: [${y.shape}]`);
      }
      for (const x of node.inputs)
        if (x.id >= y.id) throw new Error(`${where}: an input is younger than its user`);
    });
    const [y] = node.outputs;
    const { name } = node.attrs;
    if ((node.op === "input" || node.op === "parameter") && typeof name === "string") {
      const before = leaves.get(name);
      if (before !== undefined && (before.dtype !== y.dtype || !sameShape(before.shape, y.shape))) {
        throw new Error(`graph: "${name}" is both [${before.shape}] and [${y.shape}]`);
      }
      leaves.set(name, y);
    }
  }
}
