/** What all models are to what uses them, whichever system they belong to. */
import type { Value } from "../graph/index.js";
import type { ParameterSpec, Pass } from "../nn/index.js";
import type { EncoderPrefixes } from "./base-config.js";
import { type AvsModelConfig, modelConfigProblem } from "./model-config.js";
import { systemOf } from "./systems.js";

/** Inputs of a forward pass of N = B*T frames, the frames of a clip in a row. */
export interface AvsInputs {
  /** Normalized, `f32[N,3,H,W]`; see `normalizeFrames`. */
  readonly frames: Value;
  /** What `AvsModel.embedAudio` gives: `f32[N,D]`, where D is 128 for VGGish. */
  readonly embedding: Value;
  /** `f32[N]`, 0 for padded frames; see `takesFrameMask`. */
  readonly frameMask?: Value | undefined;
  /**
   * Decodes every `decodeEvery`-th frame from the first on. Default: 1, all frames. Frames do not meet in decoders, so
   * S4, which trains on the first frame of each clip, need not decode the others.
   */
  readonly decodeEvery?: number | undefined;
}

/** What a forward pass gives. */
export interface AvsOutputs {
  /** `f32[N,K,H,W]` of the decoded frames. */
  readonly logits: Value;
  /** What the matching loss of TPAVI compares, for all frames. */
  readonly matching?: MatchingOutputs | undefined;
  /** What the auxiliary loss of AVSegFormer reads as a mask: `f32[N,C,H/4,W/4]` of the decoded frames. */
  readonly maskFeature?: Value | undefined;
  /** What models with concepts name, of the decoded frames. */
  readonly concepts?: ConceptOutputs | undefined;
}

/** Logits of K concepts. */
export interface ConceptOutputs {
  /** Of the sound, `f32[N,K]`. */
  readonly sound: Value;
  /** Of the cells of the coarsest stage, `f32[N,K+1,h,w]`; the last one is that of everything else. */
  readonly cells: Value;
}

/** Both streams of every stage. */
export interface MatchingOutputs {
  /** The rectified map of every stage, `[N,C,H,W]`. */
  readonly maps: readonly Value[];
  /** The audio of every stage whose block attends to it, `[N,C]`. */
  readonly audio: readonly (Value | undefined)[];
}

/** A model: its parameters and the functions over them. */
export interface AvsModel {
  readonly config: AvsModelConfig;
  /** Everything its state dict holds, buffers included. */
  readonly specs: readonly ParameterSpec[];
  /** The symbolic parameters by key: what gradients are asked for. */
  readonly values: ReadonlyMap<string, Value>;
  readonly encoders: EncoderPrefixes;
  /** log-mel `f32[N,1,96,64]` -> `f32[N,128]`; of models that take waves, `f32[B,16000*T]` -> `f32[N,D]` */
  embedAudio(sound: Value): Value;
  /** The logits, and what the losses of its system need besides. */
  forward(inputs: AvsInputs, pass: Pass): AvsOutputs;
}

/** Builds a model. Throws `RangeError` when the configuration is impossible. */
export function buildAvsModel(config: AvsModelConfig): AvsModel {
  const problem = modelConfigProblem(config);
  if (problem !== undefined) throw new RangeError(`model: ${problem.path.join(".")}: ${problem.message}`);
  return systemOf(config.kind).build(config);
}

/** The parts of a model that come from files of their own: names in checkpoints' metadata, whatever the keys. */
export type EncoderPart = "visual_encoder" | "audio_encoder" | "audio_encoder.pproc";

/** The part that a key belongs to, or `undefined` for all else. What a system inserts is never in files of encoders. */
export function partOf(
  key: string,
  { visual, audio, inserted = [] }: EncoderPrefixes,
): EncoderPart | undefined {
  if (key.startsWith(`${audio}.pproc.`)) return "audio_encoder.pproc";
  if (key.startsWith(`${audio}.`)) return "audio_encoder";
  if (!key.startsWith(`${visual}.`)) return undefined;
  // Low-rank adapters are in the visual encoder and train although it is frozen.
  const isInserted = /\.lora_[AB]$/.test(key) || inserted.some((prefix) => key.startsWith(`${prefix}.`));
  return isInserted ? undefined : "visual_encoder";
}

/** How many numbers a model's parameters hold (buffers not counted). */
export interface ParameterCounts {
  readonly total: number;
  /** All but the encoders: adapters too. */
  readonly head: number;
  readonly visualEncoder: number;
  readonly audioEncoder: number;
}

/** Counts a model's parameters. */
export function countParameters({ specs, encoders }: Pick<AvsModel, "specs" | "encoders">): ParameterCounts {
  const counts = { total: 0, head: 0, visualEncoder: 0, audioEncoder: 0 };
  for (const { key, kind, shape } of specs) {
    if (kind !== "parameter") continue;
    const size = shape.reduce((a, b) => a * b, 1);
    const part = partOf(key, encoders);
    const name = part === undefined ? "head" : part === "visual_encoder" ? "visualEncoder" : "audioEncoder";
    counts.total += size;
    counts[name] += size;
  }
  return counts;
}
