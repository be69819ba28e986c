/** The worker's side of `WorkerPool`: decodes the clips it is sent and hands their memory over. */
import { parentPort } from "node:worker_threads";
import { serveThread } from "../thread.node.js";
import { loadClip } from "./load-clip.node.js";
import { answerFailure, type WorkerAnswer, type WorkerTask } from "./worker-pool.node.js";

serveThread(async ({ number, request }: WorkerTask) => {
  let answer: WorkerAnswer;
  const memory: ArrayBuffer[] = [];
  try {
    const clip = await loadClip(request);
    answer = { number, clip };
    memory.push(...[clip.frames, clip.logMel, clip.masks, clip.keep].map((tensor) => tensor.data.buffer));
  } catch (error) {
    answer = answerFailure(number, error);
  }
  parentPort?.postMessage(answer, memory);
});
