/** The thread that owns onnxruntime-node's sessions. */
import { parentPort, workerData } from "node:worker_threads";
import * as ort from "onnxruntime-node";
import { serveThread } from "../../node/thread.js";
import { answerRequests, sessionFromMemory } from "../answer-requests.js";
import { sessionOptions, withSessionSettings } from "../ort-tensors.js";
import type { NodeProvider } from "../providers.js";
import { keepingSessions } from "./keeping-sessions.js";
import { mappedSession } from "./mapped-session.js";
import { withWeightsInMemory } from "./moved-weights.js";

const { provider, threads, spinning }: { provider: NodeProvider; threads: number; spinning: boolean } =
  workerData;
const options = withSessionSettings(sessionOptions(provider, threads), {
  // Processors take many times as long for numbers below 1e-38, which attention and gradients are full of. ONNX Runtime
  // sets this for its own threads, and for the thread of a process's first session.
  set_denormal_as_zero: "1",
  intra_op: { allow_spinning: spinning ? "1" : "0" },
});
// Failures are errors here, with a hint; the log would repeat them in the runtime's words.
if (provider !== "cpu") ort.env.logLevel = "fatal";

/** Throws where ONNX Runtime lacks a provider: it would run the model on the processor without a word. */
function requireProvider(name: NodeProvider): void {
  const names = ort.listSupportedBackends().map((backend) => backend.name);
  if (names.includes(name)) return;
  throw new Error(
    `it is not part of ONNX Runtime for ${process.platform} on ${process.arch}, which has ${names.join(", ")}`,
  );
}
serveThread(
  answerRequests({
    ort,
    create: async (request) => {
      requireProvider(provider);
      const sessions = keepingSessions(ort.InferenceSession, request);
      return (
        (await mappedSession(request, { sessions, options })) ??
        sessionFromMemory({ InferenceSession: sessions }, await withWeightsInMemory(request), options)
      );
    },
    post: (reply, transfer) => parentPort?.postMessage(reply, transfer),
  }),
);
