/** Who holds a model's weights: a store that lends them, hands them over, frees them, and reads them again. */
import { placeOf } from "../file-tensor.js";
import { discard } from "../runtime/discard.js";
import { OwnedWeights } from "../runtime/runtime.js";
import { copyOf, type StateDict, type Tensor } from "../tensor.js";

/** Options of a `WeightStore`. */
export interface WeightStoreOptions {
  /** Reads all weights. Called when weights are needed that were handed over or freed before. */
  readonly load: () => Promise<StateDict>;
  /** The weights, where they were read already. */
  readonly initial?: StateDict | undefined;
  /** Keys that stay in the store for good, because they train: only copies of them are handed over. Default: none. */
  readonly isResident?: ((key: string) => boolean) | undefined;
}

/**
 * The weights of a model. A large model's weights exist once: either here or in a session.
 *
 * - `lend` gives a view: the tensors stay in the store, and the borrower neither changes nor transfers them.
 * - `take` transfers ownership, e.g. to a session. The store reads the weights again when they are needed once more.
 * - `release` frees what is not resident.
 *
 * @example
 * const store = new WeightStore({ load: () => loadAll() });
 * await runtime.createSession({ graph, weights: await store.take(graph.parameters.map(({ name }) => name)) });
 */
export class WeightStore {
  readonly #load: () => Promise<StateDict>;
  readonly #isResident: (key: string) => boolean;
  readonly #resident = new Map<string, Tensor>();
  #held: Map<string, Tensor> | undefined;

  constructor({ load, initial, isResident = () => false }: WeightStoreOptions) {
    this.#load = load;
    this.#isResident = isResident;
    if (initial) this.#hold(initial);
  }

  /** A store of weights in memory that all train, or are too small to matter: none is ever moved. */
  static of(weights: StateDict): WeightStore {
    return new WeightStore({ load: async () => weights, initial: weights, isResident: () => true });
  }

  /** The weights that stay in the store, by key. Training updates them in place. */
  get resident(): StateDict {
    return this.#resident;
  }

  /** The weights of `keys`. Throws `Error` for a key that the model does not have. */
  async lend(keys: Iterable<string>): Promise<StateDict> {
    return new Map((await this.#found(keys)).map(({ key, tensor }) => [key, tensor]));
  }

  /** The weights of `keys`, in memory that belongs to the receiver. Throws `Error` for an unknown key. */
  async take(keys: Iterable<string>): Promise<OwnedWeights> {
    const buffers = new Set<ArrayBuffer>();
    const taken = (await this.#found(keys)).map(({ key, tensor }): [string, Tensor] => {
      if (this.#resident.has(key)) return [key, copyOf(tensor)];
      this.#held?.delete(key);
      if (placeOf(tensor)) return [key, tensor]; // in a file, which a session maps
      // A buffer that two tensors share can be transferred only once.
      const { buffer, byteLength } = tensor.data;
      const alone = byteLength === buffer.byteLength && !buffers.has(buffer) && !this.#shares(buffer);
      buffers.add(buffer);
      return [key, alone ? tensor : copyOf(tensor)];
    });
    return new OwnedWeights(new Map(taken));
  }

  /** Frees the weights that are not resident, at once instead of at the next garbage collection. */
  release(): void {
    const resident = new Set([...this.#resident.values()].map(({ data }) => data.buffer));
    const held = [...(this.#held?.values() ?? [])].filter((tensor) => !placeOf(tensor));
    const buffers = held.map(({ data }) => data.buffer);
    this.#held = undefined;
    discard(buffers.filter((buffer) => !resident.has(buffer)));
  }

  #shares(buffer: ArrayBuffer): boolean {
    for (const tensors of [this.#held ?? [], this.#resident]) {
      for (const [, tensor] of tensors) if (!placeOf(tensor) && tensor.data.buffer === buffer) return true;
    }
    return false;
  }

  async #found(keys: Iterable<string>): Promise<{ readonly key: string; readonly tensor: Tensor }[]> {
    const wanted = [...keys];
    const has = (key: string): boolean => this.#resident.has(key) || this.#held?.has(key) === true;
    if (!wanted.every(has)) this.#hold(await this.#load());
    return wanted.map((key) => {
      const tensor = this.#resident.get(key) ?? this.#held?.get(key);
      if (tensor === undefined) throw new Error(`weights: the model has no parameter "${key}"`);
      return { key, tensor };
    });
  }

  /** Keeps what was read. Resident weights have changed since they were first read, so those here are kept. */
  #hold(weights: StateDict): void {
    this.#held = new Map();
    for (const [key, tensor] of weights) {
      if (!this.#isResident(key)) this.#held.set(key, tensor);
      else if (!this.#resident.has(key)) this.#resident.set(key, tensor);
    }
  }
}
