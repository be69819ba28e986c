/** Where a model's weights come from: encoders from their files, a checkpoint over them, the rest from the seed. */
import type { OnnxModel } from "../graph/onnx/read.js";
import { type AvsModel, type EncoderPart, partOf } from "../models/avs-model.js";
import { initialState, type ParameterSpec } from "../nn/index.js";
import type { StateDict, Tensor } from "../tensor.js";
import type { WeightFile } from "../weights/checkpoint.js";
import type { Container } from "../weights/detect.js";
import { encoderKeys } from "../weights/key-forms.js";
import { matchStateDict } from "../weights/state-dict.js";

/** The files of the encoders, by name, or (`F`) in another form. A part without a file is `null` or left out. */
export interface EncoderFiles<F = string> {
  readonly visual?: F | null | undefined;
  readonly audio?: F | null | undefined;
  /** VGGish's PCA parameters. */
  readonly pca?: F | null | undefined;
}

/** Where weights come from; a part without a file starts from the seed. */
export interface WeightSources extends EncoderFiles {
  /** Weights of a model, or of any of its parts, that replace the others (fine-tuning, evaluation). */
  readonly checkpoint?: { readonly file: string; readonly tensors: StateDict } | undefined;
}

/**
 * The files that models are opened from, by the names that configurations and checkpoints give them, wherever they
 * lie: a disk, a server, memory. All functions throw `CheckpointError` for a file that is missing or damaged.
 */
export interface ModelFiles {
  /** The file's name for the functions below: where a file lies may have to be searched for. */
  locate(name: string): Promise<string>;
  /** What kind of file it is, by how it begins. */
  container(name: string): Promise<Container>;
  /** The tensors and metadata of a weight file. */
  weights(name: string): Promise<WeightContent>;
  /** An ONNX model and access to its weights. */
  onnx(name: string): Promise<OnnxFile>;
  /** The whole content of the file `name` in the folder of the file `of`. */
  bytesBeside(name: string, of: string): Promise<Uint8Array<ArrayBuffer>>;
  /** SHA-256 of the whole file, in hexadecimal. */
  sha256(name: string): Promise<string>;
}

/** An ONNX model and where its weights are. */
export interface OnnxFile {
  readonly onnx: OnnxModel;
  /** The folder of the files that hold its weights, where a runtime maps them into memory. */
  readonly folder?: string | undefined;
  /**
   * The content of a file in the model's folder that holds weights; `undefined` for a file that is there and will be
   * mapped. Throws `CheckpointError` where it is missing.
   */
  readonly beside: (name: string) => Promise<Uint8Array<ArrayBuffer> | undefined>;
}

/** What a weight file holds. */
export interface WeightContent {
  readonly tensors: StateDict;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The weights of a model and which files its encoders came from. */
export interface GatheredWeights {
  /** By state-dict key, a tensor for each of the model's specs. */
  readonly weights: Map<string, Tensor>;
  readonly files: Readonly<Record<string, WeightFile>>;
}

/**
 * Gathers the weights of a model. Throws `CheckpointError` when a file is missing, damaged or does not fit.
 * Files of encoders may have keys in any form that `encoderKeys` knows; classifiers (`head.`, `fc.`, `_fc.`) are
 * left out where the model has none.
 */
export async function gatherWeights(
  { specs, encoders }: Pick<AvsModel, "specs" | "encoders">,
  {
    sources,
    seed,
    modelFiles,
  }: {
    readonly sources: WeightSources;
    /** Decides the values of parameters that no file holds. */
    readonly seed: number;
    readonly modelFiles: ModelFiles;
  },
): Promise<GatheredWeights> {
  const weights = new Map<string, Tensor>();
  const files: Record<string, WeightFile> = {};
  const parts: [EncoderPart, prefix: string, string | null | undefined][] = [
    ["visual_encoder", `${encoders.visual}.`, sources.visual],
    ["audio_encoder", `${encoders.audio}.`, sources.audio],
    ["audio_encoder.pproc", `${encoders.audio}.pproc.`, sources.pca],
  ];
  const { checkpoint } = sources;
  for (const [part, prefix, source] of parts) {
    const own = specs.filter((spec) => partOf(spec.key, encoders) === part);
    // What the checkpoint holds anyway need not be there, nor be read.
    if (!source || own.length === 0 || own.every((spec) => spec.unused || checkpoint?.tensors.has(spec.key)))
      continue;
    const located = await modelFiles.locate(source);
    const { tensors } = await modelFiles.weights(located);
    for (const [key, tensor] of encoderWeights(own, tensors, { prefix, file: source }))
      weights.set(key, tensor);
    files[part] = { file: source, sha256: await modelFiles.sha256(located) };
  }
  if (checkpoint) {
    const { file, tensors } = checkpoint;
    const expected = specs.map((spec) => ({ ...spec, optional: true }));
    for (const [key, tensor] of matchStateDict(expected, tensors, { file })) weights.set(key, tensor);
  }
  const missing = specs.filter((spec) => !weights.has(spec.key));
  for (const [key, tensor] of initialState(missing, seed)) weights.set(key, tensor);
  return { weights, files };
}

function encoderWeights(
  specs: readonly ParameterSpec[],
  found: StateDict,
  { prefix, file }: { readonly prefix: string; readonly file: string },
): Map<string, Tensor> {
  const expected = specs.map(({ key, shape, dtype, unused }) => ({
    key: key.slice(prefix.length),
    shape,
    dtype,
    optional: unused || key.endsWith("num_batches_tracked"),
  }));
  const keys = expected.map(({ key }) => key);
  const ignore = (key: string): boolean => /^(head|fc|classifier|pproc|_conv_head|_bn1|_fc)\./.test(key);
  const matched = matchStateDict(expected, encoderKeys(found, keys, { file, prefix }), { file, ignore });
  return new Map([...matched].map(([key, tensor]) => [prefix + key, tensor]));
}
