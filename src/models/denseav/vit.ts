/**
 * DINO's ViT-S/8 (Caron et al., "Emerging properties in self-supervised vision transformers", ICCV 2021; code and weights
 * Apache-2.0), as DenseAV uses it: low-rank adapters in some checkpoints, layer norms with epsilon 1e-4.
 *
 * N frames of H x W pixels, L = H/P * W/P patches of P x P, row by row; C channels.
 */
import {
  add,
  concat,
  conv2d,
  cubicMatrix,
  dim,
  expand,
  matmul,
  reshape,
  slice,
  type Value,
} from "../../graph/index.js";
import {
  layerNorm,
  normalInit,
  type Pass,
  type Scope,
  type TokenGrid,
  torchDefault,
  toTokens,
} from "../../nn/index.js";
import { epsilon, transformerBlock } from "./block.js";

/** Sizes of a ViT. */
export interface VitSizes {
  readonly width: number;
  readonly depth: number;
  readonly heads: number;
  /** Side of a patch in pixels. */
  readonly patch: number;
  /** Side of the position table in patches. */
  readonly side: number;
  /** Rank of the low-rank adapters of queries, keys and values; 0 builds none. */
  readonly loraRank: number;
}

/** The encoder, and its parts in their order. */
export interface Vit {
  /** Frames `[N,3,H,W]` -> tokens `[N,1+L,C]`, the class token first, positions added. */
  embed(frames: Value): Value;
  readonly blocks: readonly ((tokens: Value, pass: Pass) => Value)[];
  norm(tokens: Value): Value;
  /** All of them: frames -> the class token `[N,1,C]` and the patches. */
  encode(frames: Value, pass: Pass): { readonly classToken: Value; readonly patches: TokenGrid };
}

/** Builds the encoder's parameters under `scope`. */
export function vit(scope: Scope, { width, depth, heads, patch, side, loraRank }: VitSizes): Vit {
  const classToken = scope.param("cls_token", [1, 1, width], normalInit(0.02));
  const table = scope.param("pos_embed", [1, 1 + side * side, width], normalInit(0.02));
  const init = torchDefault(3 * patch * patch);
  const weight = scope.at("patch_embed").at("proj").param("weight", [width, 3, patch, patch], init);
  const bias = scope.at("patch_embed").at("proj").param("bias", [width], init);
  const blocks = Array.from({ length: depth }, (_, i) =>
    transformerBlock(scope.at("blocks").at(i), { width, heads, loraRank }),
  );
  const norm = layerNorm(scope.at("norm"), width, epsilon);

  const embed = (frames: Value): Value => {
    const grid = toTokens(conv2d(frames, weight, bias, { stride: patch }));
    const first = expand(classToken, [dim(frames, 0), 1, width]);
    return add(concat([first, grid.tokens], 1), positionsOf(table, grid));
  };
  return {
    embed,
    blocks,
    norm,
    encode(frames, pass) {
      const tokens = norm(blocks.reduce((x, block) => block(x, pass), embed(frames)));
      const size = { height: dim(frames, 2) / patch, width: dim(frames, 3) / patch };
      const range = (start: number, end: number) => slice(tokens, [{ axis: 1, start, end }]);
      return { classToken: range(0, 1), patches: { tokens: range(1, dim(tokens, 1)), ...size } };
    },
  };
}

/**
 * The position table `[1,1+S*S,C]` for a grid of another size `[1,1+L,C]`: by cubic convolution, with the scale
 * (size + 0.1) / S that DINO's code uses against rounding. The class position is unchanged.
 */
export function positionsOf(table: Value, { height, width }: Pick<TokenGrid, "height" | "width">): Value {
  const channels = dim(table, 2);
  const side = Math.sqrt(dim(table, 1) - 1);
  if (height === side && width === side) return table;
  const matrix = (to: number): Value => cubicMatrix({ from: side, to, scale: (to + 0.1) / side });
  const classPosition = slice(table, [{ axis: 1, start: 0, end: 1 }]);
  const grid = slice(table, [{ axis: 1, start: 1, end: 1 + side * side }]);
  const rows = matmul(matrix(height), reshape(grid, [side, side * channels])); // [H',S*C]
  const both = matmul(matrix(width), reshape(rows, [height, side, channels])); // [H',W',C]
  return concat([classPosition, reshape(both, [1, height * width, channels])], 1);
}
