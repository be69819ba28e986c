/** The worker's side of a runtime: answers requests with sessions of ONNX Runtime, in Node and in browsers. */
import type { InferenceSession, InferenceSessionFactory, TensorConstructor } from "onnxruntime-common";
import { serializeError } from "../serialize-error.js";
import type { Tensor } from "../tensor.js";
import { discard } from "./discard.js";
import type { Piece } from "./external-data.js";
import { fromOrt, toOrt } from "./ort-tensors.js";
import type { WorkerReply, WorkerRequest, WorkerTask } from "./protocol.js";

/** The parts of `onnxruntime-node` or `onnxruntime-web` that are used. */
export interface Ort {
  readonly InferenceSession: InferenceSessionFactory;
  readonly Tensor: TensorConstructor;
}

/** What makes sessions of models in memory. */
export interface SessionFactory {
  create(model: Uint8Array<ArrayBuffer>, options: InferenceSession.SessionOptions): Promise<InferenceSession>;
}

/** A model to make a session of, and the weights that it does not hold itself. */
export type CreateRequest = Extract<WorkerTask, { kind: "create" }>;

/** Makes a session of a model in memory, and frees its weights. */
export async function sessionFromMemory(
  { InferenceSession: sessions }: { readonly InferenceSession: SessionFactory },
  { model, weightFiles }: CreateRequest,
  options: InferenceSession.SessionOptions,
): Promise<InferenceSession> {
  const externalData = weightFiles.map(({ path, pieces }) => ({ path, data: joined(pieces) }));
  const session = await sessions.create(model, { ...options, externalData });
  discard(externalData.map(({ data }) => data.buffer));
  return session;
}

/** The bytes of a file; without a copy where it is one piece. */
function joined(pieces: readonly Piece[]): Uint8Array<ArrayBuffer> {
  const [first, ...rest] = pieces;
  if (first !== undefined && rest.length === 0 && first.offset === 0) return first.data;
  const bytes = new Uint8Array(pieces.reduce((n, { offset, data }) => Math.max(n, offset + data.length), 0));
  for (const { offset, data } of pieces) bytes.set(data, offset);
  discard(pieces.map(({ data }) => data.buffer));
  return bytes;
}

/** Options of `answerRequests`. */
export interface AnswerOptions {
  readonly ort: Ort;
  readonly create: (request: CreateRequest) => Promise<InferenceSession>;
  readonly post: (reply: WorkerReply, transfer: ArrayBuffer[]) => void;
}

/** Makes a handler of requests. It answers them one at a time, in the order of their arrival. */
export function answerRequests({
  ort,
  create,
  post,
}: AnswerOptions): (request: WorkerRequest) => Promise<void> {
  const sessions = new Map<number, InferenceSession>();
  let nextSession = 0;

  async function handle(request: WorkerRequest): Promise<Omit<WorkerReply, "call">> {
    if (request.kind === "create") {
      sessions.set(nextSession, await create(request));
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
