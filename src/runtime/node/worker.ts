/** The thread that owns onnxruntime-node's sessions. */
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { serveThread } from "../../node/thread.js";
import { answerRequests, sessionFromMemory } from "../answer-requests.js";
import { sessionOptions } from "../ort-tensors.js";
import type { NodeProvider } from "../runtime.js";
import { keepingSessions } from "./keeping-sessions.js";
import { mappedSession } from "./mapped-session.js";

const { provider, threads }: { provider: NodeProvider; threads: number } = workerData;
const options = sessionOptions(provider, threads);
serveThread(
  answerRequests({
    ort,
    create: async (request) => {
      const sessions = keepingSessions(ort.InferenceSession, request);
      return (
        (await mappedSession(request, { sessions, options })) ??
        sessionFromMemory({ InferenceSession: sessions }, request, options)
      );
    },
    post: (reply, transfer) => parentPort?.postMessage(reply, transfer),
  }),
);
