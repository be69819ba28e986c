/** The visual encoders there are. */
import * as z from "zod";
import { schemasOf } from "../fields.js";
import type { Value } from "../graph/index.js";
import { type Pass, type Scope, type TokenGrid, toMap } from "../nn/index.js";
import { efficientNetLiteEncoder } from "./efficientnet-lite.js";
import type { EncoderSettings, PerStage, VisualEncoder } from "./encoder-definition.js";
import type { FrameNormalization } from "./normalize-frames.js";
import { pvtEncoder } from "./pvt-v2.js";
import { resnetEncoder } from "./resnet50.js";
import type { StateDictShapes } from "./state-dict-shapes.js";

/** To add an encoder, add its definition here: schemas, configurations and checkpoints follow. */
const encoders = [pvtEncoder, resnetEncoder, efficientNetLiteEncoder] as const;

type Encoder = (typeof encoders)[number];

/** Any visual encoder's settings. */
export const visualSchema = z.discriminatedUnion("kind", schemasOf(encoders), "a known encoder");
/** Settings of a visual encoder. */
export type VisualConfig = Readonly<z.infer<typeof visualSchema>>;

function definitionOf({ kind }: VisualConfig): Encoder {
  const found = encoders.find(({ schema }) => schema.shape.kind.value === kind);
  if (found === undefined) throw new RangeError(`visual encoder: unknown kind ${kind}`);
  return found;
}

/** Builds the parameters of an encoder under `scope`. */
export function visualEncoder(scope: Scope, config: VisualConfig): VisualEncoder {
  return definitionOf(config).build(scope, config);
}

/** Channels of the four stages. */
export function stageDims(config: VisualConfig): PerStage {
  return definitionOf(config).dims(config);
}

/** How an encoder's frames are normalized. */
export function frameNormalization(config: VisualConfig): FrameNormalization {
  return definitionOf(config).frames;
}

/** Why an encoder cannot be built; `undefined` if it can. */
export function visualProblem(config: VisualConfig): { key: string; message: string } | undefined {
  return definitionOf(config).problem(config);
}

/** Settings of the encoder whose state dict has these tensors; `undefined` for an unknown one. */
export function inferVisual(shapes: StateDictShapes): VisualConfig | undefined {
  for (const { infer } of encoders) {
    const config = infer(shapes);
    if (config) return config;
  }
  return undefined;
}

/** The names that configuration files may use as `model.visual.kind`. */
export const visualNames: readonly string[] = encoders.flatMap(({ sizes }) => Object.keys(sizes));

/** The keys of `model.visual` in configuration files, of all encoders. */
export const visualConfigFields: Readonly<Record<string, z.ZodType>> = Object.assign(
  {},
  ...encoders.map(({ configFields }) => configFields),
);

/** What a configuration file says under `model.visual`, resolved. */
export interface ResolvedVisual {
  /** Not checked yet. */
  readonly settings: EncoderSettings;
  /** Keys that are given although the named encoder fixes them or does not have them. */
  readonly refused: readonly string[];
}

/** Resolves the named sizes and the keys of a configuration file. Throws `RangeError` for an unknown name. */
export function resolveVisual(name: string, fields: EncoderSettings): ResolvedVisual {
  const encoder = encoders.find(({ sizes }) => name in sizes);
  if (encoder === undefined) throw new RangeError(`visual encoder: unknown name ${name}`);
  const { schema, sizes, configFields, fromConfig = (same) => same } = encoder;
  const fixed = sizes[name] ?? {};
  const own = Object.entries(fields).filter(([key, value]) => key in configFields && value !== undefined);
  const refused = Object.entries(fields)
    .filter(([key, value]) => (key in fixed || !(key in configFields) ? isGiven(key, value) : false))
    .map(([key]) => key);
  const settings = { ...fromConfig(Object.fromEntries(own)), ...fixed, kind: schema.shape.kind.value };
  return { settings, refused };
}

/** Whether a key was written: it has neither no value nor its default. */
function isGiven(key: string, value: unknown): boolean {
  return value !== undefined && value !== visualConfigFields[key]?.safeParse(undefined).data;
}

/** The tokens after each stage, without Messenger Blocks between the stages. */
export function encodeFrames(encoder: VisualEncoder, frames: Value, pass: Pass): TokenGrid[] {
  let map = encoder.stem(frames, pass);
  return encoder.dims.map((_, i) => {
    const grid = encoder.stage(i, map, pass);
    map = toMap(grid);
    return grid;
  });
}
