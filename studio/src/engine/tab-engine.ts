/** The engine in the tab, as the page calls it. */
import type { ModelFacts, Step } from "avseg/studio";
import type { Engine, LiveWindow, ModelSource, SegmentRequest, Work } from "./messages";
import { WorkerClient } from "./worker-client";

/** Runs models in a worker of this tab. */
export class TabEngine implements Engine {
  readonly #worker = new WorkerClient();
  readonly #modelFolder: string;

  /** `modelFolder` is the address of the files of the app's models. */
  constructor(modelFolder: string) {
    this.#modelFolder = modelFolder;
  }

  async open(source: ModelSource, work: Work = {}): Promise<ModelFacts> {
    const request = { kind: "open", source, modelFolder: this.#modelFolder } as const;
    for await (const answer of this.#worker.ask(request, work)) {
      if (answer.kind === "opened") return answer.facts;
    }
    throw new Error("the engine did not say which model it opened");
  }

  async *segment(request: SegmentRequest, work: Work = {}): AsyncGenerator<Step, void, undefined> {
    for await (const answer of this.#worker.ask({ kind: "segment", ...request }, work)) {
      if (answer.kind === "step") yield answer.step;
    }
  }

  /** The newest second of a window. */
  async live(window: LiveWindow, work: Work = {}): Promise<Step | undefined> {
    let step: Step | undefined;
    for await (const answer of this.#worker.ask({ kind: "live", ...window }, work)) {
      if (answer.kind === "step") step = answer.step;
    }
    return step;
  }
}
