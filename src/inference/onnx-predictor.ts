/** An exported model (`avseg export`) as a predictor, on any runtime. */
import * as z from "zod";
import { CheckpointError } from "../errors.js";
import { integer } from "../fields.js";
import type { OnnxModel } from "../graph/onnx/read.js";
import { type AvsModelConfig, maskSizeOf, modelConfigFromJson } from "../models/model-config.js";
import { soundFormOf } from "../models/systems.js";
import type { Runtime, Session } from "../runtime/runtime.js";
import type { Tensor } from "../tensor.js";
import type { Embed } from "./model-predictor.js";
import { batchedPredictor, type LoadedPredictor, type Predictor, type TrainingOrigin } from "./predictor.js";
import type { OnnxFile } from "./weight-sources.js";

/** Options of `onnxPredictor`. */
export interface OnnxPredictorOptions extends OnnxFile {
  /** Names the file in messages. */
  readonly file: string;
  /** Stays the caller's to close. */
  readonly runtime: Runtime;
  /** A new folder for the optimized model: see `SessionSource`. Default: nothing is written. */
  readonly keepIn?: string | undefined;
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
  const session = await runtime.createSession({ onnx, weightFiles, folder, keepIn, name: file });
  const predictor = sessionPredictor({ onnx, session, config, clipsPerRun });
  return { ...predictor, config, files: {}, trainedOn: originOf(onnx.metadata.trained_on) };
}

/** What `sessionPredictor` is made of. */
export interface SessionPredictorOptions {
  readonly onnx: Pick<OnnxModel, "inputs">;
  readonly session: Session;
  readonly config: AvsModelConfig;
  readonly clipsPerRun: number;
  /** The audio encoder, where the session takes its embeddings. */
  readonly embed?: Embed | undefined;
}

/** A predictor that feeds a session those parts of a batch that it has inputs for. */
export function sessionPredictor({
  onnx,
  session,
  config,
  clipsPerRun,
  embed,
}: SessionPredictorOptions): Predictor {
  const names = new Set(onnx.inputs.map(({ name }) => name));
  return batchedPredictor({
    config,
    maskSize: maskSizeOf(config),
    soundForm: soundFormOf(config),
    clipsPerRun,
    async run(batch) {
      const given = { ...batch, ...(embed && { embedding: await embed(batch) }) };
      const feeds = Object.entries(given).flatMap(([name, tensor]): [string, Tensor][] =>
        tensor && names.has(name) ? [[name, tensor]] : [],
      );
      return (await session.run(Object.fromEntries(feeds), ["logits"])).logits;
    },
    close: () => session.close(),
  });
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
