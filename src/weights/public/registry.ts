/** Public weights by name. */
import { ConfigError } from "../../errors.js";
import { PUBLISHED_ENCODERS } from "./encoders.js";
import { PUBLISHED_MODELS } from "./models.js";
import type { PublishedModel, PublishedWeights } from "./public-weights.js";

/** The public weights called `name`, of an encoder or a model. Throws `ConfigError` that lists the names. */
export function publishedWeights(name: string): PublishedWeights {
  const found = PUBLISHED_ENCODERS.get(name) ?? PUBLISHED_MODELS.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`unknown public weights: ${JSON.stringify(name)}`, {
    hint: `Choose an encoder (${[...PUBLISHED_ENCODERS.keys()].join(", ")}), or a model that \`avseg models\` lists.`,
  });
}

/** The public model called `name`. Throws `ConfigError` that lists the names. */
export function publishedModelNamed(name: string): PublishedModel {
  const found = PUBLISHED_MODELS.get(name);
  if (found !== undefined) return found;
  throw new ConfigError(`unknown public model: ${JSON.stringify(name)}`, {
    hint: `Choose one of ${[...PUBLISHED_MODELS.keys()].join(", ")}.`,
  });
}
