/** A thread of `WorkerPool`: decodes requested clips and transfers their memory. */
import { parentPort } from "node:worker_threads";
import { serveThread } from "../node/thread.js";
import { serializeError } from "../serialize-error.js";
import { loadClip } from "./avsbench/load-clip.js";
import { tensorsOf } from "./clip.js";
import type { WorkerAnswer, WorkerTask } from "./worker-protocol.js";

serveThread(async ({ number, request }: WorkerTask) => {
  let answer: WorkerAnswer;
  const memory: ArrayBuffer[] = [];
  try {
    const clip = await loadClip(request);
    answer = { number, clip };
    memory.push(...tensorsOf(clip).map(({ data }) => data.buffer));
  } catch (error) {
    answer = { number, error: serializeError(error) };
  }
  parentPort?.postMessage(answer, memory);
});
