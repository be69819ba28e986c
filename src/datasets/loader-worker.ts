/** The worker's side of `WorkerPool`: decodes the clips it is sent and hands their memory over. */
import { parentPort } from "node:worker_threads";
import { serveThread } from "../node/thread.js";
import { loadClip } from "./avsbench/load-clip.js";
import { answerFailure, type WorkerAnswer, type WorkerTask } from "./worker-protocol.js";

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
