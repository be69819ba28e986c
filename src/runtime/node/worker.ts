/** The thread that owns onnxruntime-node's sessions. */
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { serveThread } from "../../node/thread.js";
import { answerRequests } from "../answer-requests.js";
import { sessionOptions } from "../ort-tensors.js";

const { provider, threads }: { provider: "cpu" | "webgpu"; threads: number } = workerData;
serveThread(
  answerRequests({
    ort,
    session: sessionOptions(provider, threads),
    post: (reply, transfer) => parentPort?.postMessage(reply, transfer),
  }),
);
