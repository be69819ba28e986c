/** Public trained models for the app: which there are, and their download into the cache. */
import { missingFiles, pullModel } from "../../inference/node/published-model.js";
import type { Progress } from "../../progress.js";
import { PUBLISHED_MODELS } from "../../weights/public/models.js";
import type { PublishedModel } from "../../weights/public/public-weights.js";
import { publishedModelNamed } from "../../weights/public/registry.js";
import type { PublicModel } from "../protocol.js";
import { RequestError } from "./requests.js";

/** Whether the app can run it: its weights are published, and it takes a video with its sound. */
function isUsable({ origin, inputs }: PublishedModel): boolean {
  return origin.host !== "nowhere" && inputs.includes("video");
}

/** All public models that the app can run. */
export function listPublicModels(): Promise<PublicModel[]> {
  const usable = [...PUBLISHED_MODELS.values()].filter(isUsable);
  return Promise.all(
    usable.map(async ({ name, title, approximateBytes, licenses, homepage }) => ({
      ...{ name, title, homepage },
      codeLicense: licenses.code,
      weightsLicense: licenses.weights,
      downloadBytes: (await missingFiles(name)).length > 0 ? approximateBytes : 0,
    })),
  );
}

/** Downloads of models into the cache, one at a time. */
export class ModelDownloads {
  #busy = false;

  /**
   * Downloads a model and what it needs. An aborted download keeps its bytes for the next time. Throws `RequestError`
   * while another is running, `CheckpointError` for a failed one.
   */
  async pull(
    name: string,
    options: { readonly signal: AbortSignal; readonly onProgress: (progress: Progress) => void },
  ): Promise<undefined> {
    if (!PUBLISHED_MODELS.has(name))
      throw new RequestError(404, "there is no such model", "Reload the page.");
    if (this.#busy)
      throw new RequestError(429, "another model is being downloaded", "Wait for it, or stop it first.");
    this.#busy = true;
    try {
      await pullModel(publishedModelNamed(name).name, options);
    } finally {
      this.#busy = false;
    }
  }
}
