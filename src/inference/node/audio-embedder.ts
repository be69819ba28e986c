/** Embeddings of an audio encoder that does not train, computed once per clip. */

import { createHash } from "node:crypto";
import os from "node:os";
import { env } from "onnxruntime-common";
import { emitOnnx, input, type OnnxGraph, serializePieces } from "../../graph/index.js";
import type { AvsModel } from "../../models/avs-model.js";
import { audioWidth } from "../../models/vggish.js";
import { type Runtime, type Session, weightsOf } from "../../runtime/runtime.js";
import { asF32, type StateDict, type TensorOf } from "../../tensor.js";
import type { WeightStore } from "../../weights/weight-store.js";
import type { EmbeddingCache } from "./embedding-cache.js";

/** To be changed when kept embeddings must not be used any more for a reason that their keys do not hold. */
const format = "avseg-embedding-1";

/** What an `AudioEmbedder` is made of. */
export interface AudioEmbedderOptions {
  readonly model: AvsModel;
  readonly runtime: Runtime;
  /** Keeps embeddings for later runs; without it they are kept in memory. */
  readonly cache?: EmbeddingCache | undefined;
  readonly store: WeightStore;
  /** The encoder's hash, where it is known: the store need not have read its weights then. */
  readonly encoder?: string | undefined;
}

/**
 * Runs the audio encoder apart from the rest. Each clip is run on its own, so that its embedding does not depend on its
 * batch, and kept under the hash of its log-mels and of the encoder: its ONNX model, weights included.
 */
export class AudioEmbedder {
  readonly #options: AudioEmbedderOptions;
  readonly #graph: OnnxGraph;
  readonly #keys: readonly string[];
  readonly #known = new Map<string, Float32Array>();
  #encoder: string | undefined;
  #session: Promise<Session> | undefined;

  constructor(options: AudioEmbedderOptions) {
    const { model, runtime } = options;
    const embedding = model.embedAudio(input("log_mel", [model.config.frameCount, 1, 96, 64]));
    this.#options = options;
    this.#encoder = options.encoder;
    this.#graph = emitOnnx({ embedding }, { target: runtime.supports });
    this.#keys = this.#graph.parameters.map(({ name }) => name);
  }

  /**
   * Must be called before `embed`, while the store holds the weights. The session is opened now, unless there are
   * embeddings of this encoder: then it is opened when one is missing.
   */
  async open(): Promise<void> {
    if (this.#session !== undefined) return;
    this.#encoder ??= this.#hashEncoder(await this.#options.store.lend(this.#keys));
    if (!(await this.#options.cache?.has(this.#encoder))) this.#session = this.#openSession();
    await this.#session;
  }

  /** The hash of the encoder. Throws `Error` before it is opened. */
  get encoder(): string {
    if (this.#encoder === undefined) throw new Error("audio encoder: not opened");
    return this.#encoder;
  }

  /** log-mels of whole clips `f32[B*T,1,96,64]` -> `f32[B*T,128]` */
  async embed(logMel: TensorOf<"f32">): Promise<TensorOf<"f32">> {
    const { frameCount } = this.#options.model.config;
    const clipSize = frameCount * 96 * 64;
    const clips = logMel.data.length / clipSize;
    const data = new Float32Array(clips * frameCount * audioWidth);
    for (let i = 0; i < clips; i++) {
      const clip = logMel.data.subarray(i * clipSize, (i + 1) * clipSize);
      data.set(await this.#embedClip(clip), i * frameCount * audioWidth);
    }
    return { dtype: "f32", shape: [clips * frameCount, audioWidth], data };
  }

  async #embedClip(logMel: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    const { cache } = this.#options;
    const { encoder } = this;
    const key = createHash("sha256").update(logMel).digest("hex");
    const known = this.#known.get(key) ?? (await cache?.read(encoder, key));
    const embedding = known ?? (await this.#run(logMel));
    this.#known.set(key, embedding);
    if (!known) await cache?.write(encoder, key, embedding);
    return embedding;
  }

  async #run(logMel: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    const { model, store } = this.#options;
    // By now the store has transferred its weights; those that it reads again along with the encoder's are freed.
    this.#session ??= this.#openSession().finally(() => store.release());
    const session = await this.#session;
    const shape = [model.config.frameCount, 1, 96, 64];
    const { embedding } = await session.run({ log_mel: { dtype: "f32", shape, data: logMel.slice() } });
    if (!embedding) throw new Error("audio encoder: no embedding");
    return asF32(embedding, "embedding").data;
  }

  async #openSession(): Promise<Session> {
    const { runtime, store } = this.#options;
    const weights = await store.take(this.#keys);
    return runtime.createSession({ graph: this.#graph, weights, name: "audio encoder" });
  }

  /** Of all that decides an embedding's bits: formulas and weights, and the kernels that the machine has for them. */
  #hashEncoder(weights: StateDict): string {
    const { provider } = this.#options.runtime;
    const kernels = [provider, env.versions.common, os.arch(), os.cpus()[0]?.model];
    const hash = createHash("sha256").update(JSON.stringify([format, ...kernels]));
    const data = weightsOf(this.#graph, weights);
    const parameter = ({ name }: { name: string }) => {
      const tensor = data.get(name);
      if (!tensor) throw new Error(`audio encoder: no weight ${name}`);
      return { bytes: tensor.data };
    };
    for (const piece of serializePieces(this.#graph, { parameter })) hash.update(piece);
    return hash.digest("hex");
  }
}
