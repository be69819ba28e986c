/** Public trained models by name: fetched, recognized by their keys and shapes, and ready to be opened. */
import { CheckpointError } from "../../errors.js";
import type { AvsModelConfig } from "../../models/model-config.js";
import { pvtSizes } from "../../models/pvt-v2.js";
import { systemOf } from "../../models/systems.js";
import type { VisualConfig } from "../../models/visual-encoder.js";
import { cachedWeights, type PulledWeights, type PullOptions, pullWeights } from "../../weights/hub/cache.js";
import { loadListing } from "../../weights/node/load.js";
import type { PublishedModel } from "../../weights/public/public-weights.js";
import { publishedModelNamed } from "../../weights/public/registry.js";
import type { WeightListing } from "../../weights/state-dict.js";
import { inferModelConfig } from "../infer-config.js";
import type { LoadModelOptions } from "../load-model.js";

/** How a public model is fetched. */
export interface PullModelOptions extends PullOptions {
  /** Called before each of the files that the model needs. */
  readonly onFile?: ((name: string) => void) | undefined;
}

/** A public model in the cache. */
export interface PulledModel {
  readonly model: PublishedModel;
  readonly file: PulledWeights;
  /** The other weights that it needs. */
  readonly needs: readonly PulledWeights[];
  /** What the file holds, by its keys and shapes. */
  readonly description: string;
}

/** What opening a public model takes. */
export type PublishedModelOptions = Required<Pick<LoadModelOptions, "checkpoint" | "encoders" | "hints">>;

/**
 * Brings a public model and all that it needs into the cache; see `pullWeights`, which checks hashes. The file must hold
 * the model: its system, one class or many, and its visual encoder are recognized by keys and shapes.
 * `from` and `sha256` concern the file of the model. Throws `ConfigError` for an unknown name, `CheckpointError` for a
 * failed download or another model, `OutputError`.
 */
export async function pullModel(name: string, options: PullModelOptions = {}): Promise<PulledModel> {
  const { onFile, from, sha256, ...shared } = options;
  const model = publishedModelNamed(name);
  onFile?.(name);
  const verify = (listing: WeightListing, file: string) => void identify(model, listing, file);
  const file = await pullWeights(name, { ...shared, from, sha256, verify });
  const description = identify(model, await loadListing(file.path), file.path);
  const needs: PulledWeights[] = [];
  for (const need of model.needs) {
    onFile?.(need);
    needs.push(await pullWeights(need, shared));
  }
  return { model, file, needs, description };
}

/** The names of the files, of the model and of what it needs, that are not in the cache. Throws `ConfigError`. */
export async function missingFiles(
  name: string,
  options: Pick<PullOptions, "cacheDir"> = {},
): Promise<string[]> {
  const { needs } = publishedModelNamed(name);
  const found = await Promise.all([name, ...needs].map((file) => cachedWeights(file, options)));
  return [name, ...needs].filter((_, i) => found[i] === undefined);
}

/**
 * What opening a public model takes, from the cache. Throws `ConfigError` for an unknown name, `CheckpointError` when a
 * file is not in the cache.
 */
export async function publishedModelOptions(
  name: string,
  options: Pick<PullOptions, "cacheDir"> = {},
): Promise<PublishedModelOptions> {
  const model = publishedModelNamed(name);
  const checkpoint = await cachedWeights(name, options);
  const [missing] = await missingFiles(name, options);
  if (checkpoint === undefined || missing !== undefined) {
    throw new CheckpointError(`the public model ${name} is not in the cache: ${missing} is missing`, {
      hint: `Download it with \`avseg weights pull ${name}\`, or in code with \`download: true\`.`,
    });
  }
  const audio = model.needs.includes("vggish") ? await cachedWeights("vggish", options) : undefined;
  const hints = model.task === "zero-shot" ? {} : { task: model.task };
  return { checkpoint, encoders: { audio }, hints };
}

const visualKinds = { "pvt-v2-b5": "pvt-v2", resnet50: "resnet50", "dino-vit-s8": "dino-vit-s8" } as const;

/** What a file holds, in words. Throws `CheckpointError` naming `file` when it is not the model. */
function identify(model: PublishedModel, { tensors }: WeightListing, file: string): string {
  if (model.system === "denseav") return model.title; // recognized by the marks of its file
  const { anchor } = systemOf(model.system).keys;
  const holder = [...tensors.keys()].find((key) => key === anchor || key.endsWith(`.${anchor}`));
  if (holder === undefined) {
    throw new CheckpointError(`${file}: expected ${model.title}, but its parameter "${anchor}" is missing`, {
      hint: "The file was not kept. Pass the right one to `avseg weights pull` with --from FILE|URL.",
    });
  }
  const prefix = holder.slice(0, holder.length - anchor.length);
  const shapes = new Map(
    [...tensors].flatMap(([key, { shape }]) =>
      key.startsWith(prefix) ? [[key.slice(prefix.length), shape] as const] : [],
    ),
  );
  const config = inferModelConfig(shapes, file);
  const isSemantic = config.classes.length > 1;
  const fits =
    isSemantic === (model.task === "avss") &&
    (!("visual" in config) || config.visual.kind === visualKinds[model.visual]);
  if (fits) return describe(config);
  throw new CheckpointError(`${file}: expected ${model.title}, found ${describe(config)}`, {
    hint: "The file was not kept. Pass the right one to `avseg weights pull` with --from FILE|URL.",
  });
}

/** A model in words, e.g. `SeaVS, one mask per frame (S4 or MS3), PVTv2-B5`. */
function describe(config: AvsModelConfig): string {
  const { kind, classes } = config;
  const output = classes.length > 1 ? `${classes.length} classes (AVSS)` : "one mask per frame (S4 or MS3)";
  const encoder = "visual" in config ? describeVisual(config.visual) : "encoders of its own";
  return `${systemOf(kind).title}, ${output}, ${encoder}`;
}

function describeVisual(visual: VisualConfig): string {
  if (visual.kind === "resnet50") return "ResNet-50";
  if (visual.kind !== "pvt-v2") return visual.kind;
  const sizes = ({
    dims,
    depths,
  }: {
    readonly dims: readonly number[];
    readonly depths: readonly number[];
  }) => `${dims}|${depths}`;
  const [name] = Object.entries(pvtSizes).find(([, size]) => sizes(size) === sizes(visual)) ?? [];
  return name === undefined
    ? `PVTv2 of ${visual.depths.join("/")} blocks`
    : `PVTv2-${name.slice(-2).toUpperCase()}`;
}
