/** Embeddings of the frozen audio encoder. */
import type { Clip } from "../datasets/clip.js";
import { emitOnnx, input } from "../graph/index.js";
import type { AvsModel } from "../models/avs-model.js";
import { audioWidth } from "../models/model-config.js";
import type { ClipBatch } from "../models/predictor.js";
import type { Runtime, Session } from "../runtime/runtime.js";
import { asF32, type StateDict, type TensorOf } from "../tensor.js";

/** Runs the audio encoder apart from the rest: embeddings of a clip are computed once and kept (128 numbers per step). */
export class AudioEmbedder {
  readonly #frameCount: number;
  readonly #session: () => Promise<Session>;
  readonly #known = new Map<string, Float32Array>();
  #opened: Promise<Session> | undefined;

  constructor(model: AvsModel, runtime: Runtime, weights: StateDict) {
    const { frameCount } = model.config;
    this.#frameCount = frameCount;
    this.#session = () => {
      const embedding = model.embedAudio(input("log_mel", [frameCount, 1, 96, 64]));
      const target = { contrib: runtime.provider === "cpu" };
      return runtime.createSession({
        graph: emitOnnx({ embedding }, { target }),
        weights,
        giveWeights: true,
        name: "audio encoder",
      });
    };
  }

  /** Makes the session now, while the weights are at hand; those of the audio encoder are moved into it. */
  async open(): Promise<void> {
    this.#opened ??= this.#session();
    await this.#opened;
  }

  /** `f32[B*T,128]` of training clips. */
  async embed(clips: readonly Clip[]): Promise<TensorOf<"f32">> {
    const parts: Float32Array[] = [];
    for (const { id, logMel } of clips) {
      const known = this.#known.get(id) ?? (await this.#run(logMel.data));
      this.#known.set(id, known);
      parts.push(known);
    }
    return this.#join(parts);
  }

  /** `f32[B*T,128]` of a batch, nothing kept. */
  async embedBatch({ logMel }: ClipBatch): Promise<TensorOf<"f32">> {
    const size = this.#frameCount * 96 * 64;
    const parts: Float32Array[] = [];
    for (let at = 0; at < logMel.data.length; at += size) {
      parts.push(await this.#run(logMel.data.slice(at, at + size)));
    }
    return this.#join(parts);
  }

  async #run(logMel: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    this.#opened ??= this.#session();
    const session = await this.#opened;
    const shape = [this.#frameCount, 1, 96, 64];
    const { embedding } = await session.run({ log_mel: { dtype: "f32", shape, data: logMel } });
    if (!embedding) throw new Error("audio encoder: no embedding");
    return asF32(embedding, "embedding").data;
  }

  #join(parts: readonly Float32Array[]): TensorOf<"f32"> {
    const data = new Float32Array(parts.length * this.#frameCount * audioWidth);
    parts.forEach((part, i) => {
      data.set(part, i * part.length);
    });
    return { dtype: "f32", shape: [parts.length * this.#frameCount, audioWidth], data };
  }
}
