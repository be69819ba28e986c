/** Where and how a metric came about. */
import { createRequire } from "node:module";
import os from "node:os";

/** Versions, machine, date and command line, for a report or a result file. */
export function describeEnvironment(
  more: readonly (readonly [name: string, value: string])[] = [],
): [name: string, value: string][] {
  const cpus = os.cpus();
  return [
    ["Date", new Date().toISOString().replace(/\.\d+Z$/, "Z")],
    ["Command", process.argv.slice(1).join(" ")],
    ...more.map(([name, value]): [string, string] => [name, value]),
    ["Node.js", process.versions.node],
    ["ONNX Runtime", versionOf("onnxruntime-node")],
    ["System", `${os.type()} ${os.release()} ${os.arch()}`],
    ["Processor", `${cpus[0]?.model.trim() ?? "unknown"}, ${os.availableParallelism()} threads`],
    ["Memory", `${(os.totalmem() / 1e9).toFixed(1)} GB`],
  ];
}

function versionOf(name: string): string {
  try {
    const found: unknown = createRequire(import.meta.url)(`${name}/package.json`);
    return typeof found === "object" && found !== null && "version" in found
      ? String(found.version)
      : "unknown";
  } catch {
    return "unknown";
  }
}
