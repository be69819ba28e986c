/** The worker's side of a runtime: answers requests with sessions of ONNX Runtime, in Node and in browsers. */
import type { InferenceSession, InferenceSessionFactory, TensorConstructor } from "onnxruntime-common";
import { serializeError } from "../serialize-error.js";
import type { Tensor } from "../tensor.js";
import { discard } from "./discard.js";
import { fromOrt, toOrt } from "./ort-tensors.js";
import type { WorkerReply, WorkerRequest } from "./protocol.js";

/** The parts of `onnxruntime-node` or `onnxruntime-web` that are used. */
export interface Ort {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

/** Options of `answerRequests`. */
export interface AnswerOptions {
  readonly ort: Ort;
  readonly session: InferenceSession.SessionOptions;
  readonly post: (reply: WorkerReply, transfer: ArrayBuffer[]) => void;
}

/** Makes a handler of requests. It answers them one at a time, in the order of their arrival. */
export function answerRequests({
  ort,
  session: options,
  post,
}: AnswerOptions): (request: WorkerRequest) => Promise<void> {
  const sessions = new Map<number, InferenceSession>();
  let nextSession = 0;

  async function handle(request: WorkerRequest): Promise<Omit<WorkerReply, "call">> {
    if (request.kind === "create") {
      const session = await ort.InferenceSession.create(request.model, {
        ...options,
        externalData: request.external.map(({ path, data }) => ({
          path,
          data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
        })),
      });
      discard(request.external.map(({ data }) => data.buffer));
      sessions.set(nextSession, session);
      return { session: nextSession++ };
    }
    const session = sessions.get(request.session);
    if (session === undefined) throw new Error("runtime: the session is closed");
    if (request.kind === "release") {
      sessions.delete(request.session);
      await session.release();
      return {};
    }
    const feeds = Object.fromEntries(
      Object.entries(request.feeds).map(([name, t]) => [name, toOrt(ort.Tensor, t)]),
    );
    const results = await session.run(feeds, [...request.fetches]);
    discard(Object.values(request.feeds).map(({ data }) => data.buffer));
    const outputs: Record<string, Tensor> = {};
    for (const name of request.fetches) {
      const value = results[name];
      if (value === undefined) throw new Error(`runtime: no output "${name}"`);
      outputs[name] = fromOrt(value);
    }
    return { outputs };
  }

  let queue = Promise.resolve();
  return (request) => {
    queue = queue.then(async () => {
      const { call } = request;
      try {
        const reply = await handle(request);
        const buffers = Object.values(reply.outputs ?? {}).map((t) => t.data.buffer);
        post({ ...reply, call }, [...new Set(buffers)]);
      } catch (error) {
        post({ call, error: serializeError(error) }, []);
      }
    });
    return queue;
  };
}
