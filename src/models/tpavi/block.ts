/**
 * TPAVI's block: every position of five frames attends to the sound, or to every other position.
 *
 * G groups of T frames, N = G*T; C decoder channels, H and W those of a stage.
 */
import {
  add,
  affine,
  dim,
  expand,
  matmul,
  mean,
  mul,
  reshape,
  shape3,
  shape4,
  type Value,
} from "../../graph/index.js";
import {
  batchNorm,
  layerNorm,
  linear,
  type Pass,
  pointwise,
  projection,
  type Scope,
  toMap,
  toTokens,
  zeros,
} from "../../nn/index.js";
import type { Task } from "../base-config.js";
import { audioWidth } from "../vggish.js";

/** Frames that one block joins: a constant of the published code, for ten-second clips too. */
export const groupSize = 5;

/** Sizes of a block, and what it attends to: see the settings of TPAVI. */
export interface BlockOptions {
  readonly channels: number;
  readonly attendAudio: boolean;
  readonly attendVisual: boolean;
}

/** map `[N,C,H,W]`, audio `[N,128]` -> the same map size, and the audio as the block sees it `[N,C]`, if it attends to it. */
export type TpaviBlock = (
  map: Value,
  audio: Value,
  pass: Pass,
) => { readonly map: Value; readonly audio: Value | undefined };

/**
 * A block: every position of T frames attends to the audio of the T frames, without a softmax: z = x + W_z(y),
 * y = (theta(x) phi(audio)^T / P) g(x), P = T*H*W; then layer norm.  map `[N,C,H,W]`, audio `[N,128]` -> the same map size,
 * and the audio as the block sees it `[N,C]`.
 */
export function tpaviBlock(scope: Scope, task: Task, options: BlockOptions): TpaviBlock {
  const { channels, attendAudio, attendVisual } = options;
  const inner = channels / 2;
  const forAudio = attendAudio ? scope.at("align_channel") : scope.at("align_channel").unused();
  const align = (task === "avss" ? projection : linear)(forAudio, audioWidth, channels);
  const theta = pointwise(scope.at("theta"), channels, inner, 3);
  const phi = pointwise(scope.at("phi"), channels, inner, 3);
  const g = pointwise(scope.at("g"), channels, inner, 3);
  const out = pointwise(scope.at("W_z").at(0), inner, channels, 3);
  const outNorm = batchNorm(scope.at("W_z").at(1), channels, { weightInit: zeros });
  const norm = layerNorm(scope.at("norm_layer"), channels);

  /** x `[G,T,L,C]` attends to `source`, `[G,T,1,C]` or `[G,T,L,C]`, L = H*W. */
  const attend = (x: Value, source: Value, pass: Pass): Value => {
    const [groups, , pixels] = shape4(x, "tpavi");
    const positions = groupSize * pixels;
    const rows = (v: Value): Value => reshape(v, [groups, positions, -1]);
    const tokens = rows(x); // [G,P,C]
    const mixed = pass.fused
      ? regrouped(x, source)
      : published(tokens, rows(expand(source, x.shape)), positions);
    const widened =
      outNorm.usesBatchStatistics(pass) || !pass.fused ? outNorm.apply(out(mixed), pass) : folded(mixed);
    return norm(add(widened, tokens)); // [G,P,C]
  };

  /** The published order: the scores are a matrix of P x P. */
  const published = (tokens: Value, source: Value, positions: number): Value => {
    const scores = matmul(theta(tokens), phi(source), {
      transB: true,
      alpha: 1 / positions,
    });
    return matmul(scores, g(tokens)); // [G,P,C/2]
  };

  /**
   * The same without scores: y = theta(x) K with K = phi^T g / P, `[C/2,C/2]`. Where the source is one token a frame,
   * phi is constant over its pixels: the sum over them moves into g, which is linear.
   */
  const regrouped = (x: Value, source: Value): Value => {
    const [groups, , pixels] = shape4(x, "tpavi");
    const keys = dim(source, 2);
    const values = keys === 1 ? mean(x, { axes: [2], keepDims: true }) : x; // [G,T,1,C] or [G,T,L,C]
    const flat = (v: Value): Value => reshape(v, [groups, groupSize * keys, -1]);
    const alpha = 1 / (groupSize * keys);
    const kernel = matmul(flat(phi(source)), flat(g(values)), { transA: true, alpha });
    const queries = reshape(theta(x), [groups, groupSize * pixels, -1]);
    return matmul(queries, kernel); // [G,P,C/2]
  };

  /** W_z with the running statistics of its norm folded into its weights. */
  const folded = (x: Value): Value => {
    const { scale, shift } = outNorm.running();
    return affine(x, mul(out.weight, reshape(scale, [channels, 1])), add(mul(out.bias, scale), shift));
  };

  return (map: Value, audio: Value, pass: Pass) => {
    const [batch, , height, width] = shape4(map, "tpavi");
    if (batch % groupSize !== 0) {
      throw new RangeError(`tpavi: ${batch} frames are not a multiple of ${groupSize} (${scope.path})`);
    }
    const grouped = (tokens: Value): Value => {
      const [, rows] = shape3(tokens, "tpavi");
      return reshape(tokens, [batch / groupSize, groupSize, rows, channels]);
    };
    const x = grouped(toTokens(map).tokens); // [G,T,L,C]
    const aligned = align(audio); // [N,C]
    const results: Value[] = [];
    if (attendVisual) results.push(attend(x, x, pass));
    if (attendAudio) results.push(attend(x, grouped(reshape(aligned, [batch, 1, channels])), pass));
    const sum = results.reduce((a, b) => add(a, b));
    const average = results.length === 1 ? sum : mul(sum, 1 / results.length);
    const tokens = reshape(average, [batch, height * width, channels]);
    return { map: toMap({ tokens, height, width }), audio: attendAudio ? aligned : undefined };
  };
}
