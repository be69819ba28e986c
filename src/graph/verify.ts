/** Checks a graph before it is emitted, so that the error of a wrong rule names the op. */
import { sameShape } from "./shapes.js";
import { topologicalOrder, type Value } from "./value.js";

/**
 * Throws `Error` unless the inputs of every node precede it, its rules give the types of its outputs again,
 * every size is a positive integer, and leaves of one name have one type.
 */
export function verify(outputs: readonly Value[]): void {
  const leaves = new Map<string, Value>();
  for (const node of topologicalOrder(outputs)) {
    const where = `graph: ${node.op} of [${node.inputs.map((v) => v.shape.join("x")).join("; ")}]`;
    const types = node.infer();
    node.outputs.forEach((y, i) => {
      const type = types[i];
      if (type === undefined || type.dtype !== y.dtype || !sameShape(type.shape, y.shape)) {
        throw new Error(
          `${where}: output ${i} is ${y.dtype}[${y.shape}], but its rule now gives another type`,
        );
      }
      if (!y.shape.every((d) => Number.isInteger(d) && d > 0)) {
        throw new Error(`${where}: output ${i} is [${y.shape}]: expected sizes that are positive integers`);
      }
      for (const x of node.inputs)
        if (x.id >= y.id) throw new Error(`${where}: an input was created after the node`);
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
