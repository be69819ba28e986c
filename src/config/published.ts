/**
 * Translates the published Python configurations, with their authors' names (`bridger`, `discribe`, `drop_out`,
 * `num_works`, ...), to the keys of this project. Keys without a meaning here are reported, not refused, since published
 * files have settings of parts that no longer exist.
 */
import { ConfigError } from "../errors.js";
import { type PythonNode, parsePythonLiterals } from "./python-literal.js";
import type { KeyPath, Source } from "./validate.js";

/** A translated configuration and what a user should know about the translation. */
export interface PublishedConfig {
  readonly source: Source;
  readonly warnings: readonly string[];
  /** Whether the published recipe chooses its best epoch on the test split. */
  readonly selectsOnTest: boolean;
}

/** The published names of a key. */
interface Rule {
  readonly to: string;
  readonly from: readonly string[];
  /** Converts the published value; `undefined` keeps the default. */
  readonly convert?: ((value: unknown, fail: (expected: string) => ConfigError) => unknown) | undefined;
}

const dropoutNames = (section: string): string[] =>
  ["dropout", "drop_out", "drop", "drop_rate"].map((name) => `model.${section}.${name}`);

const rules: readonly Rule[] = [
  {
    to: "description",
    from: ["discribe.info", "discribe", "describe", "description", "process.discribe"],
  },
  { to: "workDir", from: ["work_dir", "process.work_dir", "save_dir", "process.save_dir"] },
  { to: "model.visual.kind", from: ["model.backbone.type", "model.visual.type"], convert: visualKind },
  {
    to: "model.visual.weights",
    from: ["init_weights_path", "pretrained", "init_weights", "checkpoint"].map((n) => `model.backbone.${n}`),
  },
  {
    to: "model.visual.lora.rank",
    from: ["lora_rank", "rank", "r", "lora_r"].map((n) => `model.backbone.${n}`),
  },
  { to: "model.visual.dropPath", from: ["model.backbone.drop_path_rate"] },
  {
    to: "model.visual.freezeEpochs",
    from: ["model.freeze.visual_backbone"],
    convert: (v) => (v === false ? 0 : undefined),
  },
  {
    to: "model.visual.freezeEpochs",
    from: ["process.freeze_epochs", "freeze_epochs", "model.freeze_epochs", "model.backbone.freeze_epochs"],
  },
  { to: "model.audio.weights", from: ["model.vggish.pretrained_vggish_model_path"] },
  { to: "model.audio.train", from: ["model.vggish.freeze_audio_extractor"], convert: (v) => v === false },
  { to: "model.audio.pca", from: ["model.vggish.pretrained_pca_params_path"] },
  { to: "model.messenger.queries", from: ["num_queries", "query_num", "num_query", "queries"].map(bridger) },
  {
    to: "model.messenger.width",
    from: ["hidden_dim", "d_model", "dim", "embed_dim", "unified_dim", "query_dim"].map(bridger),
  },
  { to: "model.messenger.heads", from: ["nhead", "num_heads", "n_heads", "heads"].map(bridger) },
  { to: "model.messenger.frames", from: ["t", "T", "frames", "num_frames"].map(bridger) },
  { to: "model.messenger.dropout", from: [...dropoutNames("bridger"), "model.drop_out", "model.dropout"] },
  { to: "model.decoder.project", from: ["model.head.type"], convert: (v) => /res50/i.test(String(v)) },
  { to: "model.decoder.channel", from: ["model.head.type"], convert: (v) => /cha(nnel)?$/i.test(String(v)) },
  { to: "model.decoder.reductions", from: ["model.head.scale_factors"] },
  { to: "model.decoder.heads", from: ["model.head.nhead", "model.head.num_heads"] },
  { to: "model.decoder.convDim", from: ["model.head.conv_dim"] },
  { to: "model.decoder.dropout", from: [...dropoutNames("head"), "model.drop_out", "model.dropout"] },
  { to: "model.decoder.positionEncoding", from: ["model.head.pos_emb"], convert: (v) => Boolean(v) },
  {
    to: "data.root",
    from: ["anno_csv", "meta_csv_path", "csv_path"].map((n) => `dataset.train.${n}`),
    convert: (v) => (typeof v === "string" ? folderOf(v) : v),
  },
  { to: "data.root", from: ["dataset.train.dir_base", "dataset.train.root", "dataset.root"] },
  { to: "data.imageSize", from: ["dataset.train.img_size", "dataset.train.crop_size"], convert: squareSide },
  { to: "data.batchSize", from: ["dataset.train.batch_size", "process.batch_size", "dataset.batch_size"] },
  { to: "data.testBatchSize", from: ["dataset.test.batch_size"] },
  {
    to: "data.workers",
    from: ["process", "dataset", "dataset.train"].flatMap((s) => [`${s}.num_works`, `${s}.num_workers`]),
  },
  { to: "data.frameCount", from: ["dataset.train.mask_num", "dataset.train.num_frames"] },
  { to: "training.epochs", from: ["process.train_epochs", "process.epochs", "train_epochs"] },
  { to: "training.evaluateFrom", from: ["process.start_eval_epoch", "process.eval_start_epoch"] },
  { to: "training.evaluateEvery", from: ["process.eval_interval"] },
  { to: "training.seed", from: ["process.seed", "seed"] },
  {
    to: "training.optimizer.kind",
    from: ["optimizer.type"],
    convert: (v) => (typeof v === "string" ? v.toLowerCase() : v),
  },
  { to: "training.optimizer.learningRate", from: ["optimizer.lr", "optimizer.learning_rate"] },
  { to: "training.optimizer.weightDecay", from: ["optimizer.weight_decay"] },
  { to: "training.optimizer.betas", from: ["optimizer.betas"] },
  { to: "training.optimizer.eps", from: ["optimizer.eps"] },
  { to: "training.optimizer.momentum", from: ["optimizer.momentum"] },
  { to: "training.optimizer.nesterov", from: ["optimizer.nesterov"] },
];

/** Keys without an effect of their own: they state the default, or are handled below. */
const silent = [
  /^model\.(type|neck|audio_dim|embed_dim|freeze_audio_backbone|T)$/,
  /^model\.(backbone|vggish|bridger|head)\.(type|feature_channel|d_models|in_channels|preprocess_audio_to_log_mel)$/,
  /^model\.vggish\.(postprocess_log_mel_with_pca|freeze_audio_extractor)$/,
  /^model\.head\.(mask_dim|num_classes|use_bias|interpolate_scale|frame)$/,
  /^model\.(freeze\.(audio|visual)_backbone|projector\.type)$/,
  /^discribe\.session_name$/,
  /^dataset\.(type|(train|val|test)\..*)$/,
  /^loss\./,
];

function bridger(name: string): string {
  return `model.bridger.${name}`;
}

/** The path before the last slashes. A regular expression would be slow on a long text of slashes. */
function folderOf(file: string): string {
  let end = Math.max(0, file.lastIndexOf("/"));
  while (file[end - 1] === "/") end--;
  return file.slice(0, end) || ".";
}

function visualKind(value: unknown): unknown {
  const text = String(value).toLowerCase();
  const pvt = /pvt_?v2_?b([0-5])/.exec(text);
  if (pvt) return `pvt-v2-b${pvt[1]}`;
  if (/pvt_?v2_?lora/.test(text)) return "pvt-v2-b5";
  return /res(net)?_?50/.test(text) ? "resnet50" : value;
}

function squareSide(value: unknown, fail: (expected: string) => ConfigError): unknown {
  if (!Array.isArray(value)) return value;
  const sides: readonly unknown[] = value;
  if (sides.length !== 2 || sides[0] !== sides[1]) throw fail("two equal sides");
  return sides[0];
}

/** Translates a published configuration. `task` is used where the file does not name the task (dataset type). */
export function parsePublishedConfig(text: string, file: string, task?: string): PublishedConfig {
  const root = parsePythonLiterals(text, file);
  const leaves = new Map<string, PythonNode>();
  collect(root, "", leaves);
  const values = new Map<string, unknown>();
  const lines = new Map<string, number>();
  const used = new Set<string>();
  const warnings: string[] = [];
  const set = (to: string, value: unknown, line: number): void => {
    if (value === undefined || value === null) return;
    values.set(to, value);
    lines.set(to, line);
  };
  for (const { to, from, convert } of rules) {
    for (const name of from) {
      const node = leaves.get(name);
      if (!node) continue;
      used.add(name);
      const plain = plainOf(node);
      const fail = (expected: string): ConfigError =>
        new ConfigError(
          `${name}: expected ${expected}, found ${JSON.stringify(plain)} (${file} line ${node.line})`,
        );
      if (!values.has(to)) set(to, convert ? convert(plain, fail) : plain, node.line);
    }
  }
  const get = (name: string): unknown => {
    const node = leaves.get(name);
    return node && plainOf(node);
  };
  const lineOf = (name: string): number => leaves.get(name)?.line ?? 1;

  set("task", taskOf(get("dataset.train.type") ?? get("dataset.type")) ?? task, lineOf("dataset.train.type"));
  const kind = String(get("model.backbone.type") ?? "");
  if (/lora/i.test(kind) && !values.has("model.visual.lora.rank")) {
    set("model.visual.lora.rank", 32, lineOf("model.backbone.type"));
  }
  if (get("model.vggish.postprocess_log_mel_with_pca") !== true) values.delete("model.audio.pca");
  const scale = get("model.head.interpolate_scale");
  if (scale !== undefined && scale !== 4) {
    const line = lineOf("model.head.interpolate_scale");
    throw new ConfigError(
      `model.head.interpolate_scale: expected 4, found ${JSON.stringify(scale)} (${file} line ${line})`,
    );
  }
  const outputs = get("model.head.mask_dim") ?? get("model.head.num_classes");
  if (values.get("task") === "avss") set("model.classes", outputs, lineOf("model.head.mask_dim"));
  translateLosses(leaves, values.get("task"), set);
  if (/res(net)?_?50/i.test(file.replace(/.*[\\/]/, "")) && values.get("model.visual.kind") !== "resnet50") {
    const backbone = JSON.stringify(get("model.backbone.type"));
    warnings.push(`the name says ResNet-50, the backbone is ${backbone}, as published; using the backbone`);
  }
  for (const name of leaves.keys()) {
    if (!used.has(name) && !silent.some((pattern) => pattern.test(name)))
      warnings.push(`${name} is ignored: it has no meaning here`);
  }
  const value = nest(values);
  const where = (path: KeyPath): string => {
    const key = path.join(".");
    const exact = lines.get(key) ?? [...lines].find(([name]) => name.startsWith(`${key}.`))?.[1];
    return exact === undefined ? file : `${file} line ${exact}`;
  };
  return { source: { value, where }, warnings, selectsOnTest: get("dataset.val.split") === "test" };
}

/** The per-pixel loss of each task. All three published files call its weight `focal_loss`. */
const pixelLosses = new Map<unknown, string>([
  ["s4", "focal"],
  ["ms3", "bce"],
  ["avss", "crossEntropy"],
]);

/** Translates `weight_dict`: the overlap loss (dice; not in AVSS) and the per-pixel loss. */
function translateLosses(
  leaves: ReadonlyMap<string, PythonNode>,
  task: unknown,
  set: (to: string, value: unknown, line: number) => void,
): void {
  for (const [name, node] of leaves) {
    if (!name.startsWith("loss.") || node.kind !== "scalar" || typeof node.value !== "number") continue;
    const word = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
    let loss: string | undefined;
    if (/dice|iou/.test(word)) loss = "dice";
    else if (/bce|binary/.test(word)) loss = "bce";
    else if (/^ce|cross|seg|sem/.test(word)) loss = "crossEntropy";
    else if (/focal|mask|pixel/.test(word)) loss = pixelLosses.get(task);
    if (loss && (task !== "avss" || loss === "crossEntropy")) {
      set(`training.losses.${loss}`, node.value, node.line);
    }
  }
}

function taskOf(type: unknown): string | undefined {
  const text = String(type ?? "").toLowerCase();
  if (/ms3|multi/.test(text)) return "ms3";
  if (/s4|single/.test(text)) return "s4";
  if (/v2|avss|semantic/.test(text)) return "avss";
  return undefined;
}

function collect(node: PythonNode, path: string, leaves: Map<string, PythonNode>): void {
  if (node.kind !== "dict") {
    leaves.set(path, node);
    return;
  }
  for (const [key, child] of node.entries) collect(child, path === "" ? key : `${path}.${key}`, leaves);
}

function plainOf(node: PythonNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plainOf);
  return Object.fromEntries([...node.entries].map(([key, child]) => [key, plainOf(child)]));
}

/** `{ "a.b": 1 }` to `{ a: { b: 1 } }`. */
function nest(values: ReadonlyMap<string, unknown>): unknown {
  const groups = new Map<string, Map<string, unknown>>();
  const out = new Map<string, unknown>();
  for (const [key, value] of values) {
    const dot = key.indexOf(".");
    if (dot < 0) {
      out.set(key, value);
      continue;
    }
    const head = key.slice(0, dot);
    const group = groups.get(head) ?? new Map<string, unknown>();
    group.set(key.slice(dot + 1), value);
    groups.set(head, group);
  }
  for (const [head, group] of groups) out.set(head, nest(group));
  return Object.fromEntries(out);
}
