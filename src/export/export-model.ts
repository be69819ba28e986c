/** From a checkpoint to an ONNX file that any runtime can load. */
import path from "node:path";
import { ConfigError, OutputError } from "../errors.js";
import { ModelSizeError, type OnnxValue, type SerializeOptions, serializePieces } from "../graph/index.js";
import { type LoadedModel, type LoadModelOptions, loadModel } from "../inference/load-model.js";
import { diskFiles } from "../inference/node/model-files.js";
import type { AvsModelConfig } from "../models/model-config.js";
import { writeFilesAtomic } from "../node/files.js";
import { lockBeside, withLock } from "../node/lock.js";
import type { CountedProgress } from "../progress.js";
import { externalData, filePieces } from "../runtime/external-data.js";
import { nodeRuntime } from "../runtime/node/node-runtime.js";
import type { WeightFile } from "../weights/checkpoint.js";
import { type ModelDescription, modelDoc, modelMetadata } from "./describe.js";
import { audioFormsOf, type ExportForm, valueDocs } from "./form.js";
import { type Precision, prepareExport } from "./prepare.js";
import type { StoredGraph } from "./stored-graph.js";

/** What an export is doing. */
export interface ExportProgress extends CountedProgress {
  /** While writing, `done` and `total` count bytes. */
  readonly stage: "reading weights" | "merging weights" | "writing";
}

/** Options of `exportModel`. */
export interface ExportOptions extends LoadModelOptions {
  /** The `.onnx` file to write; its folder is made if absent. */
  readonly out: string;
  /** Default: one clip, u8 frames, and log-mels or, for systems that take waves, samples. */
  readonly form?: { readonly [K in keyof ExportForm]?: ExportForm[K] | undefined } | undefined;
  /** Default: `fp32`. */
  readonly precision?: Precision | undefined;
  /** Puts the weights into `<out>.data` beside the model. */
  readonly externalData?: boolean | undefined;
  /** Called with the model once it is read; when this fails, nothing is written. */
  readonly onModel?: ((config: AvsModelConfig) => Promise<void>) | undefined;
  readonly onProgress?: ((progress: ExportProgress) => void) | undefined;
}

/** What was exported. */
export interface ExportedModel {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly metadata: Readonly<Record<string, string>>;
  /** The model that it was made of, e.g. to compare the two. */
  readonly source: LoadedModel;
}

/**
 * Exports a checkpoint. Throws `CheckpointError` when it cannot be read or does not fit the precision, `LockedError`
 * when another process exports to the same file, and `OutputError` when it cannot be written. Nothing is left behind on
 * failure.
 *
 * @example
 * await exportModel({ checkpoint: "work_dir/s4/pvt2/best.safetensors", out: "model.onnx", precision: "int8" });
 */
export async function exportModel(options: ExportOptions): Promise<ExportedModel> {
  const { out } = options;
  const lock = { what: out, task: "avseg export", otherwise: "choose another file with --out" };
  return withLock(lockBeside(out), lock, () => exportLocked(options));
}

async function exportLocked(options: ExportOptions): Promise<ExportedModel> {
  const { precision = "fp32", signal, onProgress } = options;
  onProgress?.({ stage: "reading weights", done: 0, total: 1 });
  const checkpoint = await diskFiles.locate(options.checkpoint);
  const source = await loadModel({ ...options, checkpoint }, diskFiles);
  const form = formOf(source.model.config, options.form);
  await options.onModel?.(source.model.config);
  const description: ModelDescription = {
    config: source.model.config,
    form,
    precision,
    ...(await originOf(checkpoint, source)),
  };
  signal?.throwIfAborted();
  onProgress?.({ stage: "merging weights", done: 0, total: 1 });
  const runtime = nodeRuntime();
  let stored: StoredGraph;
  try {
    const { model, store } = source;
    const weights = await store.lend(model.specs.map(({ key }) => key));
    stored = await prepareExport({ model, weights, form, precision, runtime });
  } finally {
    await runtime.close();
  }
  signal?.throwIfAborted();
  const metadata = modelMetadata(description);
  const files = await writeModel(
    stored,
    { doc: modelDoc(description), metadata, valueDocs: valueDocs(description.config, form) },
    options,
  );
  const { inputs, outputs } = stored.graph;
  return { files, inputs, outputs, metadata, source };
}

/** The form to export. Throws `ConfigError` for sound that the system does not take. */
function formOf(
  config: AvsModelConfig,
  { clips = 1, frames = "u8", audio }: NonNullable<ExportOptions["form"]> = {},
): ExportForm {
  const known = audioFormsOf(config);
  if (audio === undefined || known.includes(audio)) return { clips, frames, audio: audio ?? known[0] };
  throw new ConfigError(`models of kind ${config.kind} do not take sound as ${audio}`, {
    hint: `Leave out --audio, or give --audio ${known.join(" or ")}.`,
  });
}

/** Hashes of the files, and what a checkpoint of ours was trained on. Paths of this machine stay here. */
async function originOf(
  checkpoint: string,
  { files, trainedOn }: LoadedModel,
): Promise<Pick<ModelDescription, "sources" | "trainedOn">> {
  const named = ({ file, sha256 }: WeightFile): WeightFile => ({ file: path.basename(file), sha256 });
  return {
    sources: {
      checkpoint: named({
        file: checkpoint,
        sha256: await diskFiles.sha256(checkpoint),
      }),
      ...Object.fromEntries(Object.entries(files).map(([part, file]) => [part, named(file)])),
    },
    trainedOn,
  };
}

async function writeModel(
  stored: StoredGraph,
  texts: Omit<SerializeOptions, "parameter">,
  { out, externalData: apart, signal, onProgress }: ExportOptions,
): Promise<ExportedModel["files"]> {
  const external = apart
    ? externalData(
        { parameters: stored.graph.parameters, weights: stored.weights },
        `${path.basename(out)}.data`,
      )
    : undefined;
  const inside: SerializeOptions["parameter"] = ({ name }) => {
    const data = stored.weights.get(name);
    if (data === undefined) throw new Error(`export: "${name}" has no data`);
    return { bytes: data.data };
  };
  const pieces = modelPieces(stored, { ...texts, parameter: external?.at ?? inside }, out);
  const modelBytes = pieces.reduce((n, piece) => n + piece.length, 0);
  const total = modelBytes + (external?.bytes ?? 0);

  let done = 0;
  function* counted(source: Iterable<Uint8Array>): Generator<Uint8Array> {
    for (const piece of source) {
      yield piece;
      done += piece.length;
      onProgress?.({ stage: "writing", done, total });
    }
  }
  // The weights first: a model is never there without them.
  const files = [
    ...(external ? [{ target: `${out}.data`, data: counted(filePieces(external.pieces)) }] : []),
    { target: out, data: counted(pieces) },
  ];
  await writeFilesAtomic(files, { signal });
  const model = { path: out, bytes: modelBytes };
  return external ? [model, { path: `${out}.data`, bytes: external.bytes }] : [model];
}

/** The bytes of the model file `out` in pieces. Throws `OutputError` when they are more than one ONNX file holds. */
export function modelPieces(
  stored: StoredGraph,
  options: SerializeOptions,
  out: string,
): readonly Uint8Array[] {
  try {
    return serializePieces(stored.graph, options);
  } catch (cause) {
    if (!(cause instanceof ModelSizeError)) throw cause;
    throw new OutputError(`cannot write ${out}: one ONNX file holds 2 GiB at most`, {
      cause,
      hint: "Put the weights beside it with --external-data.",
    });
  }
}
