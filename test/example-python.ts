/** A Python that has what `examples/python` needs, in a virtual environment that later runs use again. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { root } from "./support.js";

const folder = path.join(root, "node_modules", ".cache", "avseg", "example-python");
const requirements = path.join(root, "examples", "python", "requirements.txt");
const python = path.join(
  folder,
  ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]),
);

/** The path of the interpreter, or the reason why there is none here. Installs what is missing, which takes a minute. */
export function examplePython(): { python: string } | { reason: string } {
  if (succeeds(python, ["-c", "import numpy, onnxruntime"])) return { python };
  const base = ["python3", "python"].find((name) => succeeds(name, ["--version"]));
  if (base === undefined) return { reason: "Python is not installed" };
  const steps: [what: string, command: string, args: string[]][] = [
    ["python -m venv", base, ["-m", "venv", "--clear", folder]],
    ["pip install", python, ["-m", "pip", "install", "--quiet", "--retries", "1", "-r", requirements]],
  ];
  for (const [what, command, args] of steps) {
    const { status, stdout, stderr } = spawnSync(command, args, { encoding: "utf8" });
    if (status !== 0) return { reason: `${what} fails: ${lastLine(`${stdout ?? ""}\n${stderr ?? ""}`)}` };
  }
  return { python };
}

function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args).status === 0;
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}
