/** The thread that owns onnxruntime-node's sessions. */
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { serveThread } from "../../node/thread.js";
import { sessionOptions } from "../ort-tensors.js";
import { serve } from "../serve.js";

const { provider, threads }: { provider: "cpu" | "webgpu"; threads: number } = workerData;
serveThread(
  serve({
    ort,
    session: sessionOptions(provider, threads),
    post: (reply, transfer) => parentPort?.postMessage(reply, transfer),
  }),
);
