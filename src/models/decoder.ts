/**
 * The decoder: fuses audio and visual features stage by stage, joins the stages from coarse to fine and predicts
 * the logits at the size of the frames ("A Simple Baseline for Parameter Efficient Audio-Visual Segmentation").
 */
import type * as z from "zod";
import { count, flag, fraction, perStage, section } from "../fields.js";
import { add, affine, conv2d, dim, matmul, mul, relu, reshape, shape3, type Value } from "../graph/index.js";
import {
  addUpsampled,
  dropout,
  kaimingUniform,
  layerNorm,
  linear,
  multiHeadAttention,
  type Pass,
  reduceTokens,
  type Scope,
  type TokenGrid,
  toMap,
  upsampledConv,
  zeros,
} from "../nn/index.js";
import type { PerStage } from "./encoder-definition.js";
import { sinePositions } from "./sine-positions.js";

/** Settings of the decoder, with the published values as defaults (`project`: those for PVTv2). */
export const decoderSchema = section({
  /** Fuse after the 1x1 convolution to `convDim` (published for ResNet-50) instead of before it. */
  project: flag.default(false),
  /** Channel attention in place of the cross-attention to the audio. */
  channel: flag.default(false),
  convDim: count(4096).default(256),
  heads: count(256).default(8),
  /** Spatial reduction of keys and values per stage. */
  reductions: perStage(64).default([8, 4, 2, 1]),
  dropout: fraction.default(0.1),
  /** Sine position encoding in the spatial attention (off in the published files). */
  positionEncoding: flag.default(false),
});
/** Settings of the decoder. */
export type DecoderConfig = Readonly<z.infer<typeof decoderSchema>>;

/** Features of one stage: audio `[N,1,C]`, visual tokens `[N,H*W,C]`. */
export interface StageFeatures {
  readonly audio: Value;
  readonly visual: TokenGrid;
}

/** Four stages' features, fine to coarse -> logits `[N,K,4H,4W]` with the first stage's H and W. */
export type Decoder = (stages: readonly StageFeatures[], pass: Pass) => Value;

/**
 * Stages, from the finest on, whose 3x3 convolutions exports may compute in 8 bits. Those of the others are a
 * fifteenth of the products, and their errors pass through all finer stages.
 */
const fineStages = 2;

/** Upsampling from the finest stage to the frames. */
const upsampling = 4;

/** Builds the decoder for stages of `dims` channels and `classes` logits under `scope`. */
export function decoder(
  scope: Scope,
  { dims, classes, ...config }: DecoderConfig & { readonly dims: PerStage; readonly classes: number },
): Decoder {
  const { convDim, project } = config;
  const stages = dims.map((channels, i) => {
    const number = i + 1;
    const adapterInit = kaimingUniform(channels, 1);
    const exact = scope.fullPrecision();
    return {
      adapter: exact.param(`adapter_${number}.weight`, [convDim, channels, 1, 1], adapterInit),
      join: (i < fineStages ? scope : exact).param(
        `layer_${number}.weight`,
        [convDim, convDim, 3, 3],
        kaimingUniform(9 * convDim, 1),
      ),
      audioProj: project ? linear(scope.at(`audio_proj_${number}`), channels, convDim) : undefined,
      fuse: fusionBlock(scope.at(`fusion_block_${i}`), project ? convDim : channels, {
        ...config,
        reduction: config.reductions[i] ?? 1,
      }),
    };
  });
  const maskWeight = scope.param(
    "mask_features.weight",
    [classes, convDim, 3, 3],
    kaimingUniform(9 * convDim, 1),
  );
  const maskBias = scope.param("mask_features.bias", [classes], zeros);

  /** The stage's level of the pyramid, `[N,convDim,H,W]`. */
  const lateral = (stage: (typeof stages)[number], { audio, visual }: StageFeatures, pass: Pass): Value => {
    const { height, width } = visual;
    const [batch, , channels] = shape3(visual.tokens, "decoder");
    const adapter = reshape(stage.adapter, [convDim, channels]);
    if (stage.audioProj !== undefined) {
      const tokens = affine(visual.tokens, adapter);
      const fused = stage.fuse({ audio: stage.audioProj(audio), visual: { tokens, height, width } }, pass);
      return toMap({ tokens: fused, height, width });
    }
    // Weights times transposed tokens: the 1x1 convolution and the change to channels-first in one.
    const fused = stage.fuse({ audio, visual }, pass);
    if (pass.preferMatmul) return toMap({ tokens: affine(fused, adapter), height, width });
    return reshape(matmul(adapter, fused, { transB: true }), [batch, convDim, height, width]);
  };

  return (features, pass) => {
    let joined: Value | undefined;
    for (let i = stages.length - 1; i >= 0; i--) {
      const stage = stages[i];
      const feature = features[i];
      if (stage === undefined || feature === undefined)
        throw new RangeError(`decoder: no features of stage ${i}`);
      const map = lateral(stage, feature, pass);
      const sum = joined === undefined ? map : addUpsampled(map, joined, pass);
      joined = relu(conv2d(sum, stage.join, undefined, { padding: 1 }));
    }
    if (joined === undefined) throw new RangeError("decoder: no stages");
    return upsampledConv(joined, { weight: maskWeight, bias: maskBias, factor: upsampling }, pass);
  };
}

interface FusionSizes extends DecoderConfig {
  readonly reduction: number;
}

/** Attention over space, then over the audio, then a feed-forward layer.  -> tokens `[N,H*W,C]` */
function fusionBlock(scope: Scope, channels: number, sizes: FusionSizes) {
  const spatial = spatialAttention(scope.at("spatial_attn"), channels, sizes);
  const attendAudio = sizes.channel
    ? channelAttention(scope, channels, sizes)
    : crossAttention(scope, channels, sizes);
  const norm1 = layerNorm(scope.at("norm1"), channels);
  const norm2 = layerNorm(scope.at("norm2"), channels);
  const widen = linear(scope.at("ffn").at(0), channels, 4 * channels);
  const drop = dropout(scope.at("ffn").at(2), sizes.dropout);
  const narrow = linear(scope.at("ffn").at(3), 4 * channels, channels);
  return ({ audio, visual }: StageFeatures, pass: Pass): Value => {
    const fused = attendAudio(audio, spatial(visual, pass), pass);
    return norm2(narrow(drop(relu(widen(norm1(fused))), pass)));
  };
}

/** Lets the audio token `[N,1,C]` change visual tokens `[N,L,C]`. */
type AudioAttention = (audio: Value, visual: Value, pass: Pass) => Value;

/** attention(visual over the audio token) + drop(visual) */
function crossAttention(
  scope: Scope,
  channels: number,
  { heads, dropout: rate }: FusionSizes,
): AudioAttention {
  const attention = multiHeadAttention(scope.at("cross_attn"), { width: channels, heads, dropout: rate });
  const before = linear(scope.at("kv_proj"), channels, 2 * channels);
  const drop = dropout(scope.at("dropout"), rate);
  return (audio, visual, pass) => {
    const attended = attention({ query: visual, source: audio, before, pass }); // [N,L,C] or [N,1,C]
    return add(drop(visual, pass), attended);
  };
}

/** drop(attention(audio over the visual tokens) * visual) + visual */
function channelAttention(
  scope: Scope,
  channels: number,
  { heads, dropout: rate }: FusionSizes,
): AudioAttention {
  const inner = scope.at("channel_attn");
  const attention = multiHeadAttention(inner.at("atten"), { width: channels, heads, dropout: rate });
  linear(scope.at("kv_proj").unused(), channels, 2 * channels);
  const drop = dropout(inner.at("dropout"), rate);
  return (audio, visual, pass) => {
    const weights = attention({ query: audio, source: visual, pass }); // [N,1,C]
    return add(drop(mul(weights, visual), pass), visual);
  };
}

/** norm(x + drop(attention of x over x at lower resolution)); positions are added to what attends only. */
function spatialAttention(scope: Scope, channels: number, sizes: FusionSizes) {
  const before = linear(scope.at("kv_proj"), channels, 2 * channels);
  const attention = multiHeadAttention(scope.at("self_attn"), {
    width: channels,
    heads: sizes.heads,
    dropout: sizes.dropout,
  });
  const drop = dropout(scope.at("dropout"), sizes.dropout);
  const norm = layerNorm(scope.at("norm"), channels);
  return (grid: TokenGrid, pass: Pass): Value => {
    const { tokens, height, width } = grid;
    const query = sizes.positionEncoding ? add(tokens, sinePositions(height, width, dim(tokens, 2))) : tokens;
    const source = reduceTokens({ tokens: query, height, width }, sizes.reduction);
    return norm(add(tokens, drop(attention({ query, source, before, pass }), pass)));
  };
}
