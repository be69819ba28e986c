/** The compiled steps of a run. */
import type { ClipStep } from "./batch-step.js";

/** What compiles them. */
export interface StepCompiler {
  /** Keys of the parameters that train in `epoch`. */
  trainedKeys(epoch: number): readonly string[];
  /** Compiles the step for `clips` clips as it is in `epoch`. */
  compileStep(clips: number, epoch: number): Promise<ClipStep>;
}

/** Keeps a step for each number of clips until another set of parameters trains (unfreezing). */
export class StepCache {
  readonly #compiler: StepCompiler;
  readonly #byClips = new Map<number, Promise<ClipStep>>();
  #epoch: number | undefined;
  #trained: readonly string[] = [];

  constructor(compiler: StepCompiler) {
    this.#compiler = compiler;
  }

  /** Changes to `epoch`; returns the keys of the parameters that train in it, the same array while they are the same. */
  async enter(epoch: number): Promise<readonly string[]> {
    if (this.#epoch === epoch) return this.#trained;
    const trained = this.#compiler.trainedKeys(epoch);
    if (trained.join("\n") !== this.#trained.join("\n")) {
      await this.close();
      this.#trained = trained;
    }
    this.#epoch = epoch;
    return this.#trained;
  }

  /** The step for this many clips in the present epoch. */
  get(clips: number): Promise<ClipStep> {
    const known = this.#byClips.get(clips);
    if (known) return known;
    const made = this.#compiler.compileStep(clips, this.#epoch ?? 0);
    this.#byClips.set(clips, made);
    return made;
  }

  /** Closes all steps; later ones are compiled again. */
  async close(): Promise<void> {
    const steps = await Promise.allSettled(this.#byClips.values());
    this.#byClips.clear();
    await Promise.all(steps.map((step) => step.status === "fulfilled" && step.value.close()));
  }
}
