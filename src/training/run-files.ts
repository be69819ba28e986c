/** The files of a training run. */
import path from "node:path";

/** Paths of what a run keeps in its folder. */
export function runFiles(workDir: string): { last: string; best: string; metrics: string } {
  const file = (name: string): string => path.join(workDir, name);
  return { last: file("last.safetensors"), best: file("best.safetensors"), metrics: file("metrics.jsonl") };
}
