/** A predictor over weights that are still being trained. */
import { emitOnnx } from "../graph/index.js";
import { clipsOf, countClips, joinLogits } from "../inference/clip-batch.js";
import type { AudioEmbedder } from "../inference/node/audio-embedder.js";
import type { ClipBatch, Predictor } from "../inference/predictor.js";
import type { AvsModel } from "../models/avs-model.js";
import { forwardOf } from "../models/forward.js";
import { Pass } from "../nn/index.js";
import type { Runtime, Tensors } from "../runtime/runtime.js";
import { asF32, type StateDict, type TensorOf } from "../tensor.js";

/**
 * A predictor that is fed the trained weights at every run, so that it never has to be made again. The frozen ones
 * are moved into its session.
 */
export async function openLivePredictor(
  model: AvsModel,
  runtime: Runtime,
  weights: StateDict,
  trained: ReadonlySet<string>,
  embedder: AudioEmbedder | undefined,
): Promise<Predictor> {
  const { frameCount, imageSize, classes } = model.config;
  const logits = forwardOf(model, 1, new Pass(), { embedded: embedder !== undefined });
  const graph = emitOnnx({ logits }, { fed: trained, target: { contrib: runtime.provider === "cpu" } });
  const session = await runtime.createSession({ graph, weights, giveWeights: true, name: "validation" });
  const fed = graph.inputs.map(({ name }) => name).filter((name) => trained.has(name));

  const predictClip = async (clip: ClipBatch): Promise<TensorOf<"f32">> => {
    const audio = embedder ? { embedding: await embedder.embed(clip.logMel) } : { logMel: clip.logMel };
    const current: Tensors = Object.fromEntries(
      fed.flatMap((name) => {
        const tensor = weights.get(name);
        return tensor ? [[name, tensor]] : [];
      }),
    );
    const out = await session.run({ frames: clip.frames, keep: clip.keep, ...audio, ...current });
    if (!out.logits) throw new Error("validation: no logits");
    return asF32(out.logits, "logits");
  };
  return {
    frameCount,
    imageSize,
    classes,
    async predict(batch) {
      const clips = countClips(batch, frameCount);
      const parts: TensorOf<"f32">[] = [];
      for (let first = 0; first < clips; first++) {
        parts.push(await predictClip(clipsOf(batch, { first, count: 1, frameCount })));
      }
      return joinLogits(parts, clips * frameCount);
    },
    close: () => session.close(),
  };
}
