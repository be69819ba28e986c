/** Weight files: torch archives and legacy files, pickled tensors, safetensors, indices of shards, ONNX. */
import { readFile } from "node:fs/promises";
import path from "node:path";
import { CheckpointError } from "../../src/errors.js";
import { serializeOnnx } from "../../src/graph/index.js";
import { inferModelConfig } from "../../src/inference/infer-config.js";
import { inferenceGraph } from "../../src/inference/model-predictor.js";
import { onnxPredictor } from "../../src/inference/onnx-predictor.js";
import { buildAvsModel } from "../../src/models/avs-model.js";
import { avsegformerSchema } from "../../src/models/avsegformer/avsegformer.js";
import {
  type AvsModelConfig,
  modelConfigFromJson,
  modelConfigToJson,
  publishedModel,
  type SeavsConfig,
} from "../../src/models/model-config.js";
import { pvtV2Config } from "../../src/models/pvt-v2.js";
import { systemKeys } from "../../src/models/systems.js";
import { tpaviSchema } from "../../src/models/tpavi/tpavi.js";
import type { Runtime } from "../../src/runtime/runtime.js";
import { f32, full, type StateDict, type Tensor } from "../../src/tensor.js";
import {
  packCheckpoint,
  readCheckpointHeader,
  startOfRun,
  summarizeRun,
} from "../../src/weights/checkpoint.js";
import { modelKeys } from "../../src/weights/key-forms.js";
import { closestLayout } from "../../src/weights/key-layouts.js";
import { withFileSource } from "../../src/weights/node/file-source.js";
import { loadListing, loadStateDict, loadTorchTensor } from "../../src/weights/node/load.js";
import { readOnnxFile } from "../../src/weights/onnx-file.js";
import { encodeSafetensors } from "../../src/weights/safetensors.js";
import * as pickles from "../../test/pickle-writer.js";
import { referencePath } from "../../test/reference.js";
import { zip } from "../../test/zip-writer.js";
import { mutateBytes } from "../mutate/bytes.js";
import { mutateArchive, mutatePickle, mutateSafetensors } from "../mutate/formats.js";
import { mutateJson } from "../mutate/json.js";
import { type Reader, readAnyOf } from "../reader.js";

const reference = (...parts: string[]) => readFile(referencePath(...parts));

const base = publishedModel({
  task: "s4",
  visual: pvtV2Config("pvt-v2-b0", { dims: [8, 16, 40, 8], depths: [1, 1, 1, 1], mlpRatios: [1, 1, 1, 1] }),
});

/** A whole model, as small as its rules allow. */
const smallest: SeavsConfig = {
  ...base,
  imageSize: 32,
  audio: { kind: "vggish", widths: [1, 1, 1, 1, 1, 1], hidden: 4, pca: false },
  decoder: { ...base.decoder, convDim: 8 },
};

/** The other systems, with the same encoders. */
const systems: readonly AvsModelConfig[] = [
  smallest,
  tpaviSchema.parse({ ...partsOf(smallest), kind: "tpavi", tpavi: { channels: 16 } }),
  avsegformerSchema.parse({
    ...partsOf(smallest),
    kind: "avsegformer",
    avsegformer: {
      queries: 4,
      encoderLayers: 1,
      decoderLayers: 1,
      generatorLayers: 1,
      hidden: 8,
      headHidden: 8,
    },
  }),
];

function partsOf({ task, classes, frameCount, imageSize, visual, audio }: SeavsConfig) {
  return { task, classes, frameCount, imageSize, visual, audio };
}

/** A published checkpoint of a model; all its tensors are views of one value, which keeps the file short. */
function wholeModel(config: AvsModelConfig): Uint8Array {
  const items = buildAvsModel(config).specs.flatMap(({ key, shape }) => [
    pickles.string(key),
    pickles.tensor(
      "0",
      1,
      [...shape],
      shape.map(() => 0),
    ),
  ]);
  return zip({ "x/data.pkl": pickles.pickle(pickles.dict(...items)), "x/data/0": Buffer.alloc(4) });
}

/** What is done with the tensors of any weight file before a model is built of them. */
function fitted(tensors: StateDict, file: string): void {
  closestLayout(tensors.keys());
  const model = modelKeys(tensors, { systems: systemKeys, file });
  if (!systemKeys.some(({ anchor }) => model.has(anchor))) return;
  inferModelConfig(new Map([...model].map(([key, { shape }]) => [key, shape])), file);
}

const bytesOf = (...args: Parameters<typeof encodeSafetensors>) =>
  Buffer.concat([...encodeSafetensors(...args)]);

const torch: Reader = {
  name: "torch",
  fileName: "input.pth",
  seeds: async () => [
    ...systems.map(wholeModel),
    await reference("torch", "zip.pth"),
    await reference("torch", "nested.pth"),
    await reference("weight-forms", "negated.pth"),
    await reference("weight-forms", "unchecked.pth"),
    await reference("weight-forms", "compiled.pth"),
  ],
  mutate: mutateArchive,
  async read(file) {
    await loadListing(file);
    const { tensors } = await loadStateDict(file);
    fitted(tensors, file);
  },
};

const pickle: Reader = {
  name: "pickle",
  fileName: "input.pkl",
  seeds: async () => [await reference("torch", "legacy.pth"), await reference("torch", "log_mel.pkl")],
  mutate: mutatePickle,
  read: (file) => readAnyOf([() => loadStateDict(file), () => loadTorchTensor(file)]),
};

const safetensors: Reader = {
  name: "safetensors",
  fileName: "input.safetensors",
  seeds: async () => {
    const tensors = new Map<string, Tensor>([
      ["a.weight", f32([1, 2, 3, 4, 5, 6], [2, 3])],
      ["n", { dtype: "i64", shape: [], data: BigInt64Array.of(5n) }],
      ["mask", { dtype: "bool", shape: [3], data: Uint8Array.of(1, 0, 1) }],
      ["d", { dtype: "f64", shape: [2], data: Float64Array.of(1, 2) }],
    ]);
    const checkpoint = packCheckpoint({
      parameters: new Map([["decoder.mask_features.bias", full([1])]]),
      model: modelConfigToJson(smallest),
      config: { task: "s4", data: { root: "data" }, training: { seed: 1 } },
      frozen: { visual_encoder: { file: "pvt.pth", sha256: "0".repeat(64) } },
      progress: { ...startOfRun, epoch: 1, history: [{ epoch: 0, loss: 1, learningRate: 1e-4 }] },
    });
    return [
      bytesOf(tensors, { step: "3" }),
      bytesOf(tensors, {}, { dtype: "f16" }),
      bytesOf(checkpoint.tensors, checkpoint.metadata),
    ];
  },
  mutate: mutateSafetensors,
  async read(file) {
    await loadListing(file);
    const { tensors, metadata } = await loadStateDict(file);
    const header = readCheckpointHeader(metadata, file);
    if (header === undefined) return fitted(tensors, file);
    summarizeRun(header);
    buildAvsModel(modelConfigFromJson(header.model ?? "", file));
  },
};

const shards: Reader = {
  name: "shards",
  fileName: "model.safetensors.index.json",
  seeds: async () => [await reference("weight-forms", "sharded", "model.safetensors.index.json")],
  mutate: mutateJson,
  // Its shards are not there: what counts is which files it asks for, and how.
  read: (file) => loadStateDict(file).then(() => undefined, ignoreMissingShards),
};

function ignoreMissingShards(error: unknown): void {
  const missing = /model-0000\d-of-00002\.safetensors: there is no/;
  if (!(error instanceof CheckpointError) || !missing.test(error.message)) throw error;
}

/** A runtime that opens no session: the graph of a file is for ONNX Runtime to check. */
const idle: Runtime = {
  provider: "cpu",
  supports: { contrib: true },
  createSession: async () => ({ run: async () => ({}), close: async () => undefined }),
  close: async () => undefined,
};

const onnx: Reader = {
  name: "onnx",
  fileName: "input.onnx",
  seeds: async () => [
    serializeOnnx(inferenceGraph(buildAvsModel(smallest), 1), {
      metadata: { model: modelConfigToJson(smallest), clips: "1" },
      // Weights are not looked at, and would be most of the file.
      parameter: () => ({ bytes: new Uint8Array(4) }),
    }),
  ],
  mutate: mutateBytes,
  async read(file) {
    const model = await withFileSource(file, (source) => readOnnxFile(source, path.basename(file)));
    const beside = async (name: string) => {
      if (name === path.basename(file)) return undefined;
      throw new CheckpointError(`${file}: no ${name} beside it`);
    };
    await onnxPredictor({ onnx: model, file, beside, runtime: idle });
  },
};

/** Readers of weight files. */
export const weightReaders: readonly Reader[] = [torch, pickle, safetensors, shards, onnx];
