/** An exported model (`avseg export`) as a predictor, on any runtime. */
import * as z from "zod";
import { CheckpointError } from "../errors.js";
import { integer } from "../fields.js";
import type { OnnxModel } from "../graph/onnx/read.js";
import { type AvsModelConfig, modelConfigFromJson } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import type { Runtime } from "../runtime/runtime.js";
import { modelFacts, type OnKnown } from "./model-facts.js";
import type { LoadedPredictor, TrainingOrigin } from "./predictor.js";
import { sessionPredictor } from "./session-predictor.js";
import type { OnnxFile } from "./weight-sources.js";

/** Options of `onnxPredictor`. */
export interface OnnxPredictorOptions extends OnnxFile {
  /** Names the file in messages. */
  readonly file: string;
  /** Stays the caller's to close. */
  readonly runtime: Runtime;
  /** A new folder for the optimized model: see `SessionSource`. Default: nothing is written. */
  readonly keepIn?: string | undefined;
  /** Called before the session is made. */
  readonly onKnown?: OnKnown | undefined;
}

/**
 * Makes a predictor of an exported model, which takes the file's fixed number of clips per run. Throws
 * `CheckpointError` for a model of another origin, or one exported with other inputs than RGB bytes and log-mels.
 */
export async function onnxPredictor({
  onnx,
  file,
  folder,
  beside,
  runtime,
  keepIn,
  onKnown,
}: OnnxPredictorOptions): Promise<LoadedPredictor> {
  const { config, clipsPerRun } = describedModel(onnx, file);
  const weightFiles = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of onnx.weightFiles) {
    if (/[/\\]/.test(name)) {
      throw new CheckpointError(`${file}: it names weights outside of its folder (${name})`, {
        hint: "Use a file made by `avseg export`; this one may be hostile.",
      });
    }
    const bytes = await beside(name);
    if (bytes !== undefined) weightFiles.set(name, bytes);
  }
  const described = { config, files: {}, trainedOn: originOf(onnx.metadata.trained_on) };
  await onKnown?.(modelFacts({ ...described, clipsPerRun }));
  const session = await runtime.createSession({ onnx, weightFiles, folder, keepIn, name: file });
  return { ...sessionPredictor({ session, inputs: onnx.inputs, config, clipsPerRun }), ...described };
}

const originSchema = z.object({
  task: z.string(),
  data: z.string(),
  description: z.string().optional(),
  epochs: z.number(),
  best: z.object({ epoch: z.number(), value: z.number() }).optional(),
});

/** What the model was trained on, where the metadata say so; `undefined` for anything unreadable. */
function originOf(json: string | undefined): TrainingOrigin | undefined {
  try {
    return originSchema.safeParse(JSON.parse(json ?? "")).data;
  } catch {
    return undefined;
  }
}

/** What a file of `avseg export` says about its model, checked against its inputs. */
function describedModel(
  { inputs, metadata }: OnnxModel,
  file: string,
): { config: AvsModelConfig; clipsPerRun: number } {
  if (metadata.model === undefined || metadata.clips === undefined) {
    throw new CheckpointError(`${file}: its metadata do not describe a model of avseg`, {
      hint: "Give a file made by `avseg export`.",
    });
  }
  const config = modelConfigFromJson(metadata.model, file);
  const clips = integer(1, 4096).safeParse(Number(metadata.clips));
  const found = new Map(inputs.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  const taken = inputs
    .map(({ name, dtype }) => `${name} ${dtype}`)
    .filter((name) => !/^frameMask /.test(name));
  const sound = soundFormOf(config) === "wave" ? "sound f32" : "logMel f32";
  if (taken.sort().join() !== `frames u8,${sound}`) {
    throw new CheckpointError(
      `${file}: expected the inputs frames u8 and ${sound}, found ${taken.join(", ")}`,
      { hint: "Export it again without --frames, --audio and --with-audio-frontend." },
    );
  }
  const { frameCount, imageSize } = config;
  const frames = [Number(clips.data) * frameCount, imageSize, imageSize, 3];
  if (!clips.success || found.get("frames")?.shape.join() !== frames.join()) {
    const shape = found.get("frames")?.shape.join(",") ?? "";
    throw new CheckpointError(
      `${file}: its metadata say ${JSON.stringify(metadata.clips)} clips of ${frameCount} frames of ${imageSize} x ${imageSize} pixels, but its input is frames u8[${shape}]`,
      { hint: "The metadata were changed; export the model again." },
    );
  }
  return { config, clipsPerRun: clips.data };
}
