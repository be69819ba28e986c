/** A predictor over weights that are still being trained. */
import { emitOnnx } from "../graph/index.js";
import type { AudioEmbedder } from "../models/audio-embedder.node.js";
import type { AvsModel } from "../models/avs-model.js";
import type { ClipBatch, Predictor } from "../models/predictor.js";
import { Pass } from "../nn/index.js";
import type { Runtime, Tensors } from "../runtime/runtime.js";
import { asF32, type StateDict, type TensorOf } from "../tensor.js";
import { forwardOf } from "./forward.js";

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
    const audio = embedder ? { embedding: await embedder.embed(clip.logMel) } : { log_mel: clip.logMel };
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
      const clips = (batch.frames.shape[0] ?? 0) / frameCount;
      const parts: TensorOf<"f32">[] = [];
      for (let i = 0; i < clips; i++) parts.push(await predictClip(clipOf(batch, i, frameCount)));
      const [k = 1, height = 0, width = 0] = parts[0]?.shape.slice(1) ?? [];
      const size = frameCount * k * height * width;
      const data = new Float32Array(clips * size);
      parts.forEach((part, i) => {
        data.set(part.data, i * size);
      });
      return { dtype: "f32", shape: [clips * frameCount, k, height, width], data };
    },
    close: () => session.close(),
  };
}

/** The `i`-th clip of a batch, as a batch of one. */
function clipOf({ frames, logMel, keep }: ClipBatch, i: number, frameCount: number): ClipBatch {
  const [, height = 0, width = 0] = frames.shape;
  const pixels = frameCount * height * width * 3;
  const sound = frameCount * 96 * 64;
  return {
    frames: {
      dtype: "u8",
      shape: [frameCount, height, width, 3],
      data: frames.data.slice(i * pixels, (i + 1) * pixels),
    },
    logMel: {
      dtype: "f32",
      shape: [frameCount, 1, 96, 64],
      data: logMel.data.slice(i * sound, (i + 1) * sound),
    },
    keep: { dtype: "f32", shape: [frameCount], data: keep.data.slice(i * frameCount, (i + 1) * frameCount) },
  };
}
