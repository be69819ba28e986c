/** Embeddings of an audio encoder that does not train, computed once per clip. */

import { createHash } from "node:crypto";
import os from "node:os";
import { env } from "onnxruntime-common";
import { emitOnnx, type OnnxGraph, serializePieces } from "../../graph/index.js";
import type { SoundInputs } from "../../media/sound-inputs.js";
import type { AvsModel } from "../../models/avs-model.js";
import { soundInput } from "../../models/forward.js";
import { embeddingWidthOf } from "../../models/systems.js";
import { sha256Of } from "../../node/sha256.js";
import { type Runtime, type Session, weightsOf } from "../../runtime/runtime.js";
import { asF32, type StateDict, sizeOf, type TensorOf } from "../../tensor.js";
import type { WeightStore } from "../../weights/weight-store.js";
import { soundOf } from "../predictor.js";
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
 * batch, and kept under the hash of its sound and of the encoder: its ONNX model, weights included.
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
    const embedding = model.embedAudio(soundInput(model, 1));
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

  /** The sounds of whole clips -> `f32[B*T,D]`. Throws `RangeError` where a batch has not the form that the encoder takes. */
  async embed(batch: SoundInputs): Promise<TensorOf<"f32">> {
    const { config } = this.#options.model;
    const width = embeddingWidthOf(config);
    const sounds = soundOf(config, batch);
    const clipSize = sizeOf(this.#graph.inputs[0]?.shape ?? []);
    const clips = sounds.data.length / clipSize;
    const data = new Float32Array(clips * config.frameCount * width);
    for (let i = 0; i < clips; i++) {
      const clip = sounds.data.subarray(i * clipSize, (i + 1) * clipSize);
      data.set(await this.#embedClip(clip), i * config.frameCount * width);
    }
    return { dtype: "f32", shape: [clips * config.frameCount, width], data };
  }

  async #embedClip(sound: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    const { cache } = this.#options;
    const { encoder } = this;
    const key = sha256Of(sound);
    const known = this.#known.get(key) ?? (await cache?.read(encoder, key));
    const embedding = known ?? (await this.#run(sound));
    this.#known.set(key, embedding);
    if (!known) await cache?.write(encoder, key, embedding);
    return embedding;
  }

  async #run(sound: Float32Array<ArrayBuffer>): Promise<Float32Array> {
    const { store } = this.#options;
    // By now the store has transferred its weights; those that it reads again along with the encoder's are freed.
    this.#session ??= this.#openSession().finally(() => store.release());
    const session = await this.#session;
    const [{ name, shape } = { name: "", shape: [] }] = this.#graph.inputs;
    const { embedding } = await session.run({ [name]: { dtype: "f32", shape, data: sound.slice() } });
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
