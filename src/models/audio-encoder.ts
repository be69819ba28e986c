/** The audio encoders there are. To add one, add its definition here: schemas and configurations follow. */
import * as z from "zod";
import { schemasOf } from "../fields.js";
import type { Value } from "../graph/index.js";
import type { SoundForm } from "../media/sound-inputs.js";
import type { Scope } from "../nn/index.js";
import { aisfx, aisfxSchema, aisfxWidth, inferAisfx } from "./aisfx.js";
import { aisfxSpectrogram } from "./aisfx-spectrogram.js";
import type { StateDictShapes } from "./state-dict-shapes.js";
import { toAisfxRate } from "./to-aisfx-rate.js";
import { audioWidth, inferVggish, vggish, vggishSchema } from "./vggish.js";

/** The sound of a model of T steps in its encoder's form -> embeddings `f32[B*T,D]`. */
export type EmbedSound = (sound: Value) => Value;

/** An audio encoder: its settings, and the functions over them. */
interface AudioEncoderDefinition<S extends z.ZodObject> {
  /** All settings with their defaults; `kind` is a literal. */
  readonly schema: S;
  readonly soundForm: SoundForm;
  /** Whether the embedding of a second depends on the sound around it. */
  readonly joinsSeconds: boolean;
  /** Width D of the embedding. */
  width(config: z.infer<S>): number;
  /** Builds the encoder of a model with `seconds` steps under `scope`. */
  build(scope: Scope, config: z.infer<S>, seconds: number): EmbedSound;
  /** Settings of the encoder whose published state dict has these tensors; `undefined` for another one. */
  infer(shapes: StateDictShapes): z.infer<S> | undefined;
}

/** Lets the functions of a definition take the settings of any encoder: they are checked against its schema first. */
function defineAudioEncoder<S extends z.ZodObject>(definition: AudioEncoderDefinition<S>) {
  const { schema } = definition;
  return {
    ...definition,
    width: (config: unknown) => definition.width(schema.parse(config)),
    build: (scope: Scope, config: unknown, seconds: number) =>
      definition.build(scope, schema.parse(config), seconds),
  };
}

const encoders = [
  defineAudioEncoder({
    schema: vggishSchema.extend({ kind: z.literal("vggish") }),
    soundForm: "log-mel",
    joinsSeconds: false,
    width: () => audioWidth,
    build: (scope, config) => vggish(scope, config).embed,
    infer: (shapes) => (shapes.has("features.0.weight") ? inferVggish(shapes) : undefined),
  }),
  defineAudioEncoder({
    schema: aisfxSchema,
    soundForm: "wave",
    joinsSeconds: true,
    width: aisfxWidth,
    build: (scope, config, seconds) => {
      const encode = aisfx(scope, config);
      return (waves) => encode.seconds(aisfxSpectrogram(toAisfxRate(waves, seconds)), seconds);
    },
    infer: inferAisfx,
  }),
] as const;

type Encoder = (typeof encoders)[number];

/** The names that configuration files may use as `model.audio.kind`. */
export const audioNames = encoders.map(({ schema }) => schema.shape.kind.value);

/** Any audio encoder's settings. Configurations from before there was a choice do not name VGGish. */
export const audioSchema = z.preprocess(
  (value) => (typeof value === "object" && value !== null && !("kind" in value) ? named(value) : value),
  z.discriminatedUnion("kind", schemasOf(encoders), "a known encoder"),
);
/** Settings of an audio encoder. */
export type AudioConfig = Readonly<z.infer<typeof audioSchema>>;

function named(value: object): object {
  return { kind: "vggish", ...value };
}

/** The keys of `model.audio` in configuration files, of all encoders, by the encoder that has them. */
export const audioConfigFields = {
  vggish: { widths: vggishSchema.shape.widths, hidden: vggishSchema.shape.hidden },
  aisfx: { width: aisfxSchema.shape.width },
} as const;

function definitionOf({ kind }: AudioConfig): Encoder {
  const found = encoders.find(({ schema }) => schema.shape.kind.value === kind);
  if (found === undefined) throw new RangeError(`audio encoder: unknown kind ${kind}`);
  return found;
}

/** Builds the parameters of an encoder of models with `seconds` steps under `scope`. */
export function audioEncoder(scope: Scope, config: AudioConfig, seconds: number): EmbedSound {
  return definitionOf(config).build(scope, config, seconds);
}

/** Width of an encoder's embedding. */
export function embeddingWidth(config: AudioConfig): number {
  return definitionOf(config).width(config);
}

/** Whether the embeddings of an encoder depend on the sound around their seconds. */
export function joinsSeconds(config: AudioConfig): boolean {
  return definitionOf(config).joinsSeconds;
}

/** What an encoder takes of a sound. */
export function soundFormOfEncoder(config: AudioConfig): SoundForm {
  return definitionOf(config).soundForm;
}

/** Settings of the encoder whose state dict has these tensors; `undefined` for an unknown one. */
export function inferAudio(shapes: StateDictShapes): AudioConfig | undefined {
  for (const { infer } of encoders) {
    const config = infer(shapes);
    if (config) return config;
  }
  return undefined;
}
