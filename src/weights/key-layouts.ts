/**
 * The layouts in which weights of this field are published, told apart by their keys. Those with `rename` hold encoders
 * that this library knows under the keys of their authors; `key-forms.ts` applies them.
 */
import { f32, type StateDict, type Tensor } from "../tensor.js";

/** One layout of a state dict. */
export interface KeyLayout {
  /** Completes "looks like ...". */
  readonly name: string;
  /** Keys that such a file has, with `N` for any number. A prefix may precede all of them. */
  readonly marks: readonly string[];
  /** A layout that is read: the way from its keys to those of the authors' file. */
  readonly encoder?: EncoderLayout | undefined;
}

/** How the keys of an encoder change. */
export interface EncoderLayout {
  /** A key of every such file; what precedes it is the prefix of all keys. */
  readonly anchors: readonly string[];
  /** The keys of the authors' layout that the tensor of `key` belongs to. */
  rename(key: string): readonly string[];
  /** Applied after renaming. */
  readonly finish?: ((tensors: StateDict) => StateDict) | undefined;
}

const next = (n: string): number => Number(n) + 1;

/** Both copies of the last two stages start from the one that a single-branch file has. */
function bothBranches(key: string): string[] {
  const stage = /^layer([34])\./.exec(key);
  if (stage === null) return [key];
  const rest = key.slice(stage[0].length);
  return [1, 2].map((branch) => `layer${stage[1]}_${branch}.${rest}`);
}

const timmPvt: EncoderLayout = {
  anchors: ["stages.0.blocks.0.attn.kv.weight", "stages_0.blocks.0.attn.kv.weight"],
  rename: (key) => [
    key
      .replace(/^patch_embed\./, "patch_embed1.")
      .replace(/^stages[._](\d+)\.downsample\./, (_, n: string) => `patch_embed${next(n)}.`)
      .replace(/^stages[._](\d+)\.blocks\./, (_, n: string) => `block${next(n)}.`)
      .replace(/^stages[._](\d+)\.norm\./, (_, n: string) => `norm${next(n)}.`)
      .replace(/\.mlp\.dwconv\.(weight|bias)$/, ".mlp.dwconv.dwconv.$1"),
  ],
};

const huggingFacePvt: EncoderLayout = {
  anchors: ["encoder.layers.0.patch_embedding.proj.weight"],
  rename: (key) => [
    key
      .replace(/^encoder\.layers\.(\d+)\.patch_embedding\./, (_, n: string) => `patch_embed${next(n)}.`)
      .replace(/^encoder\.layers\.(\d+)\.blocks\./, (_, n: string) => `block${next(n)}.`)
      .replace(/^encoder\.layers\.(\d+)\.layer_norm\./, (_, n: string) => `norm${next(n)}.`)
      .replace(/\.attention\./, ".attn.")
      .replace(/\.attn\.query\./, ".attn.q.")
      .replace(/\.spatial_reduction\./, ".sr.")
      .replace(/\.layer_norm_([12])\./, ".norm$1.")
      .replace(/\.layer_norm\./, ".norm.")
      .replace(/\.mlp\.dense([12])\./, ".mlp.fc$1."),
  ],
  finish: joinKeysAndValues,
};

const singleBranchResNet: EncoderLayout = { anchors: ["layer4.0.conv1.weight"], rename: bothBranches };

const huggingFaceResNet: EncoderLayout = {
  anchors: ["embedder.embedder.convolution.weight"],
  rename: (key) =>
    bothBranches(
      key
        .replace(/^embedder\.embedder\.convolution\./, "conv1.")
        .replace(/^embedder\.embedder\.normalization\./, "bn1.")
        .replace(/^encoder\.stages\.(\d+)\.layers\./, (_, n: string) => `layer${next(n)}.`)
        .replace(/\.layer\.(\d+)\.convolution\./, (_, n: string) => `.conv${next(n)}.`)
        .replace(/\.layer\.(\d+)\.normalization\./, (_, n: string) => `.bn${next(n)}.`)
        .replace(/\.shortcut\.convolution\./, ".downsample.0.")
        .replace(/\.shortcut\.normalization\./, ".downsample.1."),
    ),
};

/** The authors' PVTv2 has one linear map for keys and values, keys first. */
function joinKeysAndValues(tensors: StateDict): StateDict {
  const out = new Map<string, Tensor>();
  for (const [key, tensor] of tensors) {
    const [, block, name] = /^(.*\.attn)\.(?:key|value)\.(weight|bias)$/.exec(key) ?? [];
    const parts = ["key", "value"].map((half) => tensors.get(`${block}.${half}.${name}`));
    const joined = block === undefined ? undefined : concatenated(parts);
    if (joined === undefined) out.set(key, tensor);
    else out.set(`${block}.kv.${name}`, joined);
  }
  return out;
}

function concatenated(parts: readonly (Tensor | undefined)[]): Tensor | undefined {
  const [first, second] = parts;
  if (first?.dtype !== "f32" || second?.dtype !== "f32") return undefined;
  const [rows, ...rest] = first.shape;
  const [moreRows, ...others] = second.shape;
  if (rows === undefined || moreRows === undefined || rest.join() !== others.join()) return undefined;
  const data = new Float32Array(first.data.length + second.data.length);
  data.set(first.data);
  data.set(second.data, first.data.length);
  return f32(data, [rows + moreRows, ...rest]);
}

/** Known layouts, the more specific ones first. */
export const keyLayouts: readonly KeyLayout[] = [
  {
    name: "a whole model of this system",
    marks: ["bridger.Fusers.N.intermediate_queries.weight", "decoder.mask_features.weight"],
  },
  {
    name: "a TPAVI model (AVSBench's baseline)",
    marks: ["convN.convNd_list.N.weight", "pathN.resConfUnitN.convN.weight"],
  },
  {
    name: "an AVSegFormer model",
    marks: [
      "head.query_generator.query.weight",
      "head.transformer.encoder.layers.N.self_attn.sampling_offsets.weight",
    ],
  },
  { name: "a SelM model", marks: ["DAM_FusionN.fusion.vis_project.N.weight"] },
  { name: "a DenseAV model", marks: ["image_aligner.layer.weight", "sim_cal.w"] },
  {
    name: "timm's PVTv2",
    marks: ["stages.N.blocks.N.attn.kv.weight", "stages.N.downsample.proj.weight", "patch_embed.proj.weight"],
    encoder: timmPvt,
  },
  {
    name: "timm's PVTv2 as a feature extractor",
    marks: ["stages_N.blocks.N.attn.kv.weight", "stages_N.downsample.proj.weight", "patch_embed.proj.weight"],
    encoder: timmPvt,
  },
  {
    name: "Hugging Face's PVTv2",
    marks: [
      "encoder.layers.N.patch_embedding.proj.weight",
      "encoder.layers.N.blocks.N.attention.query.weight",
    ],
    encoder: huggingFacePvt,
  },
  {
    name: "the PVTv2 of mmdetection or mmsegmentation",
    marks: ["layers.N.N.projection.weight", "layers.N.N.N.attn.attn.in_proj_weight"],
  },
  {
    name: "a PVT of the first version",
    marks: ["patch_embedN.proj.weight", "blockN.N.attn.kv.weight", "pos_embedN"],
  },
  {
    name: "PVTv2 as its authors publish it",
    marks: ["patch_embedN.proj.weight", "blockN.N.attn.kv.weight", "blockN.N.mlp.dwconv.dwconv.weight"],
  },
  {
    name: "Hugging Face's SegFormer",
    marks: ["encoder.patch_embeddings.N.proj.weight", "encoder.block.N.N.attention.self.query.weight"],
  },
  {
    name: "Hugging Face's ResNet",
    marks: ["embedder.embedder.convolution.weight", "encoder.stages.N.layers.N.layer.N.convolution.weight"],
    encoder: huggingFaceResNet,
  },
  {
    name: "a ResNet with two copies of its last stages, as AVS systems have it",
    marks: ["layerN.N.convN.weight", "layerN_N.N.convN.weight"],
  },
  {
    name: "torchvision's or timm's ResNet",
    marks: ["layerN.N.convN.weight", "layerN.N.downsample.N.weight"],
    encoder: singleBranchResNet,
  },
  { name: "VGGish", marks: ["features.N.weight", "embeddings.N.weight"] },
  { name: "torchvision's VGG", marks: ["features.N.weight", "classifier.N.weight"] },
  { name: "timm's Swin Transformer", marks: ["layers.N.blocks.N.attn.relative_position_bias_table"] },
  { name: "timm's ViT or DINO", marks: ["blocks.N.attn.qkv.weight", "cls_token"] },
  { name: "Hugging Face's ViT", marks: ["encoder.layer.N.attention.attention.query.weight"] },
  { name: "ConvNeXt", marks: ["stages.N.blocks.N.conv_dw.weight"] },
  { name: "ConvNeXt", marks: ["stages.N.N.dwconv.weight"] },
];

/** What the keys of a file look like: the layout most of whose marks are there, or `undefined` for unknown ones. */
export function closestLayout(keys: Iterable<string>): string | undefined {
  const patterns = [...new Set([...keys].map((key) => `.${key.replace(/\d+/g, "N")}`))];
  let best: { name: string; score: number } | undefined;
  for (const { name, marks } of keyLayouts) {
    const found = marks.filter((mark) => patterns.some((pattern) => pattern.endsWith(`.${mark}`)));
    const score = found.length / marks.length;
    if (score >= 0.5 && score > (best?.score ?? 0)) best = { name, score };
  }
  return best?.name;
}

/** The end of a message that refuses a file: `; its keys look like ...` where their layout is known. */
export function closestLayoutNote(keys: Iterable<string>): string {
  const layout = closestLayout(keys);
  return layout === undefined ? "" : `; its keys look like ${layout}`;
}
