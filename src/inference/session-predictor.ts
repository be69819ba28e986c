/** A session of the runtime as a predictor. */
import type { SoundInputs } from "../media/sound-inputs.js";
import { type AvsModelConfig, maskSizeOf } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import type { Session, Tensors } from "../runtime/runtime.js";
import type { StateDict, Tensor, TensorOf } from "../tensor.js";
import { batchedPredictor, type Predictor, soundFeeds } from "./predictor.js";

/** An audio encoder that runs apart: the sound of a batch -> `f32[B*T,D]`. */
export type Embed = (sounds: SoundInputs) => Promise<TensorOf<"f32">>;

/** What `sessionPredictor` is made of. */
export interface SessionPredictorOptions {
  /** Computes `logits` of `clipsPerRun` clips. The predictor closes it. */
  readonly session: Session;
  /** The session's inputs: the parts of a batch, embeddings and parameters that it takes. */
  readonly inputs: readonly { readonly name: string }[];
  readonly config: AvsModelConfig;
  readonly clipsPerRun: number;
  /** The audio encoder, for a session that takes embeddings. Default: the session takes the sound itself. */
  readonly embed?: Embed | undefined;
  /** Parameters that are inputs, because they still train: every run takes their present values. Default: none. */
  readonly live?: StateDict | undefined;
}

/** A predictor that feeds a session those parts of a batch that it has inputs for. */
export function sessionPredictor({
  session,
  inputs,
  config,
  clipsPerRun,
  embed,
  live,
}: SessionPredictorOptions): Predictor {
  const names = inputs.map(({ name }) => name);
  return batchedPredictor({
    config,
    maskSize: maskSizeOf(config),
    soundForm: soundFormOf(config),
    clipsPerRun,
    async run(batch) {
      const { frames, frameMask } = batch;
      const audio = embed ? { embedding: await embed(batch) } : soundFeeds(config, batch);
      const parts: Tensors = { frames, frameMask, ...audio };
      const feeds = names.flatMap((name): [string, Tensor][] => {
        const tensor = parts[name] ?? live?.get(name);
        return tensor ? [[name, tensor]] : [];
      });
      return (await session.run(Object.fromEntries(feeds), ["logits"])).logits;
    },
    close: () => session.close(),
  });
}
