/** A graph with the data of its weights: what the steps of an export hand on. */
import { elementType, type OnnxGraph, type OnnxNode, type StoredValue } from "../graph/index.js";
import type { StoredData } from "../runtime/runtime.js";

/** An ONNX graph and the data of each of its parameters. */
export interface StoredGraph {
  readonly graph: OnnxGraph;
  readonly weights: ReadonlyMap<string, StoredData>;
}

/** A node that converts to f32. */
export function castToF32(from: string, to: string): OnnxNode {
  return {
    op: "Cast",
    domain: "",
    inputs: [from],
    outputs: [to],
    attributes: { to: { i: elementType.f32 } },
  };
}

/** Constants of fewer bytes stay in the graph: shapes, scalars. */
const smallBytes = 1024;

/** Makes large constants (tables, interpolation matrices) parameters, so that all large data is treated alike. */
export function constantsAsWeights({ graph, weights }: StoredGraph): StoredGraph {
  const large = [...graph.constants].filter(([, t]) => t.data.byteLength >= smallBytes);
  const names = new Set(large.map(([name]) => name));
  return {
    graph: {
      ...graph,
      constants: new Map([...graph.constants].filter(([name]) => !names.has(name))),
      parameters: [
        ...graph.parameters,
        ...large.map(([name, { dtype, shape }]): StoredValue => ({ name, dtype, shape })),
      ],
    },
    weights: new Map([...weights, ...large]),
  };
}

/** New nodes in the place of the old ones, and weights beside them; weights and constants that no node reads are left out. */
export function withNodes(
  { graph, weights }: StoredGraph,
  allNodes: readonly OnnxNode[],
  added: ReadonlyMap<string, StoredValue & StoredData>,
): StoredGraph {
  const nodes = neededNodes(allNodes, graph);
  const needed = new Set(nodes.flatMap((node) => node.inputs));
  for (const name of nodes.flatMap((node) => node.outputs)) needed.delete(name);
  const parameters = [
    ...graph.parameters.filter(({ name }) => needed.has(name)),
    ...[...added.values()].map(({ name, dtype, shape }): StoredValue => ({ name, dtype, shape })),
  ];
  const kept = parameters.flatMap(({ name }) => {
    const data = added.get(name) ?? weights.get(name);
    return data === undefined ? [] : [[name, data] as const];
  });
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)));
  return { graph: { ...graph, nodes, parameters, constants }, weights: new Map(kept) };
}

/** The nodes that outputs depend on; `nodes` in the order in which they run. */
function neededNodes(nodes: readonly OnnxNode[], { outputs }: OnnxGraph): OnnxNode[] {
  const needed = new Set(outputs.map(({ name }) => name));
  return nodes
    .toReversed()
    .filter((node) => {
      if (!node.outputs.some((y) => needed.has(y))) return false;
      for (const x of node.inputs) needed.add(x);
      return true;
    })
    .reverse();
}
