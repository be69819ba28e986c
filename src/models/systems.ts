/** The systems there are: this library's own first, then other published ones. */
import * as z from "zod";
import { schemasOf } from "../fields.js";
import type { SoundForm } from "../media/sound-inputs.js";
import { embeddingWidth, soundFormOfEncoder } from "./audio-encoder.js";
import { avsegformerSystem } from "./avsegformer/avsegformer.js";
import { baseShape } from "./base-config.js";
import { denseavSystem } from "./denseav/system.js";
import { type FrameNormalization, imagenetNormalization } from "./normalize-frames.js";
import { seavsSystem } from "./seavs.js";
import { selmSystem } from "./selm/selm.js";
import type { SystemKeys } from "./system-definition.js";
import { tpaviSystem } from "./tpavi/tpavi.js";
import { audioWidth } from "./vggish.js";
import { frameNormalization } from "./visual-encoder.js";

/** To add a system, add its definition here: models, configurations, checkpoints and recipes follow. */
export const systems = [seavsSystem, tpaviSystem, avsegformerSystem, selmSystem, denseavSystem] as const;

type System = (typeof systems)[number];

/** A whole model, of any system. */
export const avsModelSchema = z.discriminatedUnion("kind", schemasOf(systems), "a known kind of model");
/** A whole model. */
export type AvsModelConfig = Readonly<z.infer<typeof avsModelSchema>>;
/** The name of a system. */
export type ModelKind = AvsModelConfig["kind"];

/** The definition of a system. */
export function systemOf(kind: ModelKind): System {
  const found = systems.find(({ schema }) => schema.shape.kind.value === kind);
  if (found === undefined) throw new RangeError(`models: unknown kind ${kind}`);
  return found;
}

/** What a model takes of a sound: what its audio encoder does, or its system. */
export function soundFormOf(config: AvsModelConfig): SoundForm {
  return "audio" in config
    ? soundFormOfEncoder(config.audio)
    : (systemOf(config.kind).soundForm ?? "log-mel");
}

/** Width of a model's audio embeddings. */
export function embeddingWidthOf(config: AvsModelConfig): number {
  return "audio" in config ? embeddingWidth(config.audio) : audioWidth;
}

/** Whether models of a system have one of the shared visual encoders and VGGish. */
export function hasSharedEncoders(kind: ModelKind): boolean {
  return "visual" in systemOf(kind).schema.shape;
}

/** How a model's frames are normalized: as its visual encoder's are, and with ImageNet's numbers in other systems. */
export function frameNormalizationOf(config: AvsModelConfig): FrameNormalization {
  return "visual" in config ? frameNormalization(config.visual) : imagenetNormalization;
}

/** Whether a model takes the input `frameMask`. */
export function takesFrameMask({ kind, task }: AvsModelConfig): boolean {
  return task === "avss" || systemOf(kind).masksFrames === true;
}

/** What tells their state dicts apart. */
export const systemKeys: readonly SystemKeys[] = systems.map(({ keys }) => keys);

/** The names of the systems. */
export const modelKinds: readonly ModelKind[] = systems.map(({ schema }) => schema.shape.kind.value);

/** The names of those that can be trained. */
export const trainableKinds = modelKinds.filter((kind) => systemOf(kind).trainable);

type SectionsOf<S> = S extends { readonly schema: { readonly shape: infer Shape } }
  ? Omit<Shape, keyof typeof baseShape | "kind">
  : never;
type Intersection<U> = (U extends unknown ? (of: U) => void : never) extends (of: infer I) => void
  ? I
  : never;

/** The schemas of a system's own sections, by name. */
export function sectionsOf({ schema }: System): Readonly<Record<string, z.ZodType>> {
  const own = Object.entries(schema.shape).filter(([key]) => key !== "kind" && !(key in baseShape));
  return Object.fromEntries(own);
}

/** The schemas of all systems' own sections: what `model` in configuration files has besides what all share. */
export const systemSections: Intersection<SectionsOf<System>> = Object.assign({}, ...systems.map(sectionsOf));
