/** A model as a predictor: the inference graph, and a session per batch size. */
import { emitOnnx, type OnnxGraph } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { forwardOf } from "../models/forward.js";
import { Pass } from "../nn/index.js";
import type { Runtime, Session } from "../runtime/runtime.js";
import { asF32, type StateDict, type TensorOf } from "../tensor.js";
import { countClips } from "./clip-batch.js";
import type { Predictor } from "./predictor.js";

/** Batch sizes whose sessions are kept: the usual one, and that of a last, smaller batch. */
const sessionsKept = 2;

/** The inference graph for `clips` clips: the inputs of `forwardOf`, and the output `logits` `f32[B*T,K,H,W]`. */
export function inferenceGraph(
  model: AvsModel,
  clips: number,
  {
    contrib = true,
    embedded = false,
  }: { contrib?: boolean | undefined; embedded?: boolean | undefined } = {},
): OnnxGraph {
  const logits = forwardOf(model, clips, new Pass(), { embedded });
  return emitOnnx({ logits }, { target: { contrib } });
}

/** Options of `createPredictor`. */
export interface PredictorSource {
  readonly model: AvsModel;
  /** Data of all parameters by key; a function is asked again for every session, and its weights are used up. */
  readonly weights: StateDict | (() => Promise<StateDict>);
  /** Stays the caller's to close. */
  readonly runtime: Runtime;
  /** log-mels `f32[B*T,1,96,64]` -> `f32[B*T,128]`; without it the audio encoder is part of the sessions. */
  readonly embed?: ((logMel: TensorOf<"f32">) => Promise<TensorOf<"f32">>) | undefined;
}

/**
 * Makes a predictor. Sessions are created when a batch size is first seen; where that fails, `predict` throws why, and
 * the next call tries again. It throws `RangeError` for a batch that is not whole clips.
 */
export function createPredictor({ model, weights, runtime, embed }: PredictorSource): Predictor {
  const { frameCount, imageSize, classes } = model.config;
  const sessions = new Map<number, Promise<Session>>();

  const open = async (clips: number): Promise<Session> => {
    await makeRoom();
    const contrib = runtime.provider === "cpu" || runtime.provider === "wasm";
    const graph = inferenceGraph(model, clips, { contrib, embedded: embed !== undefined });
    const name = `model for ${clips} clips`;
    if (typeof weights !== "function") return runtime.createSession({ graph, weights, name });
    return runtime.createSession({ graph, weights: await weights(), giveWeights: true, name });
  };

  const makeRoom = async (): Promise<void> => {
    const [oldest] = sessions.keys();
    if (sessions.size < sessionsKept || oldest === undefined) return;
    const session = sessions.get(oldest);
    sessions.delete(oldest);
    await closed(session);
  };

  const sessionFor = (clips: number): Promise<Session> => {
    const known = sessions.get(clips);
    const session = known ?? open(clips);
    // Back to the end: the front of the map is the one unused for longest.
    sessions.delete(clips);
    sessions.set(clips, session);
    const forget = () => {
      if (sessions.get(clips) === session) sessions.delete(clips); // so that the next call tries again
    };
    if (!known) session.catch(forget);
    return session;
  };

  return {
    frameCount,
    imageSize,
    classes,
    async predict(batch) {
      const clips = countClips(batch, frameCount);
      const { frames, logMel, keep } = batch;
      const audio = embed ? { embedding: await embed(logMel) } : { logMel };
      const session = await sessionFor(clips); // from here to its run nothing may wait, or it could be closed
      const { logits } = await session.run({ frames, keep, ...audio });
      if (logits === undefined) throw new Error("predict: the model gave no logits");
      return asF32(logits, "logits");
    },
    async close() {
      const open = [...sessions.values()];
      sessions.clear();
      await Promise.all(open.map(closed));
    },
  };
}

/** Closes a session once it is open; one that fails to open needs no closing, and tells whoever asked for it. */
async function closed(session: Promise<Session> | undefined): Promise<void> {
  const opened = await session?.catch(() => undefined);
  await opened?.close();
}
