/** An exported model (`avseg export`) as a predictor, on any runtime. */
import { CheckpointError } from "../errors.js";
import type { OnnxModel } from "../graph/onnx/read.js";
import { type AvsModelConfig, modelConfigFromJson } from "../models/model-config.js";
import type { Runtime } from "../runtime/runtime.js";
import { asF32, type TensorOf } from "../tensor.js";
import { clipsOf, countClips, joinLogits } from "./clip-batch.js";
import type { LoadedPredictor } from "./predictor.js";

/** True for the first bytes of an ONNX file as `avseg export` writes it: an IR version, then the producer's name. */
export function looksLikeOnnx(start: Uint8Array): boolean {
  return start[0] === 0x08 && start[2] === 0x12 && start[8] !== 0x7b;
}

/** Options of `createOnnxPredictor`. */
export interface OnnxPredictorSource {
  readonly onnx: OnnxModel;
  /** Names the file in messages. */
  readonly file: string;
  /** Reads a file beside it, where weights lie in one of their own. Throws `CheckpointError`. */
  readonly beside: (name: string) => Promise<Uint8Array<ArrayBuffer>>;
  /** Stays the caller's to close. */
  readonly runtime: Runtime;
}

/**
 * Makes a predictor of an exported model. Batches are cut into the file's fixed number of clips. Throws
 * `CheckpointError` for a model of another origin, or one exported with other inputs than RGB bytes and log-mels.
 */
export async function createOnnxPredictor(source: OnnxPredictorSource): Promise<LoadedPredictor> {
  const { onnx, file, beside, runtime } = source;
  const { config, clips: clipsPerRun } = describedModel(onnx, file);
  const { frameCount, imageSize, classes } = config;
  const weightFiles = new Map<string, Uint8Array<ArrayBuffer>>();
  for (const name of onnx.weightFiles) {
    if (/[/\\]/.test(name))
      throw new CheckpointError(`${file}: it names weights outside of its folder (${name})`);
    weightFiles.set(name, await beside(name));
  }
  const session = await runtime.createSession({ onnx, weightFiles, name: file });
  const keeps = onnx.inputs.some(({ name }) => name === "keep");

  return {
    description: config,
    files: {},
    frameCount,
    imageSize,
    classes,
    async predict(batch) {
      const clips = countClips(batch, frameCount);
      const parts: TensorOf<"f32">[] = [];
      for (let first = 0; first < clips; first += clipsPerRun) {
        const { frames, logMel, keep } = clipsOf(batch, { first, count: clipsPerRun, frameCount });
        const { logits } = await session.run({ frames, logMel, ...(keeps ? { keep } : {}) }, ["logits"]);
        if (logits === undefined) throw new Error("predict: the model gave no logits");
        parts.push(asF32(logits, "logits"));
      }
      return joinLogits(parts, clips * frameCount);
    },
    close: () => session.close(),
  };
}

function describedModel(
  { inputs, metadata }: OnnxModel,
  file: string,
): { config: AvsModelConfig; clips: number } {
  const { model, clips } = metadata;
  const names = inputs
    .map(({ name, dtype }) => `${name} ${dtype}`)
    .filter((name) => !name.startsWith("keep"));
  if (model === undefined || clips === undefined) {
    throw new CheckpointError(`${file}: its metadata describe no model of avseg`, {
      hint: "Give a file made by `avseg export`.",
    });
  }
  if (names.sort().join() !== "frames u8,logMel f32") {
    throw new CheckpointError(
      `${file}: expected the inputs frames u8 and logMel f32, found ${names.join(", ")}`,
      {
        hint: "Export it again without --frames, --audio and --with-audio-frontend.",
      },
    );
  }
  return { config: modelConfigFromJson(model, file), clips: Number(clips) };
}
