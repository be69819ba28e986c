/**
 * Multi-scale deformable attention (Zhu et al., "Deformable DETR", ICLR 2021): every token reads a few points near
 * itself on each level, by bilinear sampling. Made of floor, gathers and products, so that every backend runs it.
 *
 * N frames, S tokens of L levels (fine to coarse, row by row), h heads of C/h channels, P points.
 */
import {
  add,
  cast,
  constant,
  dim,
  equal,
  floor,
  maximum,
  minimum,
  mul,
  reshape,
  softmax,
  split,
  sub,
  type Value,
  weightedRows,
  where,
} from "../../graph/index.js";
import { linear, type Scope, valuesInit, xavierUniform, zeros } from "../../nn/index.js";

/** Height and width of a level. */
export interface LevelSize {
  readonly height: number;
  readonly width: number;
}

/** Sizes of the attention. */
export interface DeformableOptions {
  readonly width: number;
  readonly heads: number;
  readonly levels: number;
  readonly points: number;
}

/** queries `[N,S,C]`, source `[N,S,C]` -> `[N,S,C]`; both have a token for every pixel of the levels. */
export type DeformableAttention = (query: Value, source: Value, levels: readonly LevelSize[]) => Value;

/** Builds the parameters under `scope`: `sampling_offsets`, `attention_weights`, `value_proj`, `output_proj`. */
export function deformableAttention(scope: Scope, options: DeformableOptions): DeformableAttention {
  const { width, heads, levels, points } = options;
  const samples = heads * levels * points;
  const offsets = linear(scope.at("sampling_offsets"), width, 2 * samples, {
    weightInit: zeros,
    biasInit: valuesInit(ring(options)),
  });
  const weights = linear(scope.at("attention_weights"), width, samples, {
    weightInit: zeros,
    biasInit: zeros,
  });
  const through = { weightInit: xavierUniform(width, width), biasInit: zeros };
  const values = linear(scope.at("value_proj"), width, width, through);
  const output = linear(scope.at("output_proj"), width, width, through);

  return (query, source, sizes) => {
    const [batch, tokens] = [dim(source, 0), dim(source, 1)];
    const perLevel = [batch, tokens, heads, levels, points];
    const grid = gridOf(sizes);
    const moved = reshape(offsets(query), [...perLevel, 2]);
    const [dx, dy] = split(moved, 5, [1, 1]);
    const columns = neighbors(add(reshape(dx, perLevel), grid.columns), grid.lastColumn);
    const rows = neighbors(add(reshape(dy, perLevel), grid.rows), grid.lastRow);
    const scores = reshape(weights(query), [batch, tokens, heads, levels * points]);
    const attention = reshape(softmax(scores, 3), perLevel);

    // The value of head h of token s of frame n is row (n S + s) h + h.
    const table = reshape(values(source), [batch * tokens * heads, width / heads]);
    const firstRows = constant({
      dtype: "i32",
      shape: [batch, 1, heads, 1, 1],
      data: Int32Array.from(
        { length: batch * heads },
        (_, i) => Math.floor(i / heads) * tokens * heads + (i % heads),
      ),
    });
    const sampled = rows.flatMap((row) =>
      columns.map((column) => {
        const pixel = add(add(mul(row.index, grid.width), column.index), grid.firstToken);
        const index = add(mul(cast(pixel, "i32"), heads), firstRows);
        const share = mul(mul(row.share, column.share), attention);
        const flat = [batch * tokens * heads, levels * points];
        return weightedRows(table, reshape(index, flat), reshape(share, flat)); // [N*S*h,C/h]
      }),
    );
    return output(
      reshape(
        sampled.reduce((a, b) => add(a, b)),
        [batch, tokens, width],
      ),
    );
  };
}

/** One of the two pixels of an axis between which a position lies. */
interface Neighbor {
  /** The pixel, moved inside the level, as `f32`. */
  readonly index: Value;
  /** Its fraction of the position's value; 0 for a pixel outside the level. */
  readonly share: Value;
}

/** The pixels before and after positions on an axis whose last pixel is `last`. */
function neighbors(position: Value, last: Value): readonly Neighbor[] {
  const before = floor(position);
  const after = sub(position, before); // fraction of the later pixel
  return [
    { pixel: before, share: sub(1, after) },
    { pixel: add(before, 1), share: after },
  ].map(({ pixel, share }) => {
    const index = minimum(maximum(pixel, 0), last);
    return { index, share: where(equal(index, pixel), share, 0) };
  });
}

/** Where tokens lie on every level, and the levels' sizes. */
interface Grid {
  /** Column and row of every token's center on every level, `[1,S,1,L,1]`. */
  readonly columns: Value;
  readonly rows: Value;
  /** Per level, `[L,1]`. */
  readonly width: Value;
  readonly lastColumn: Value;
  readonly lastRow: Value;
  readonly firstToken: Value;
}

function gridOf(sizes: readonly LevelSize[]): Grid {
  const perLevel = (of: (size: LevelSize, level: number) => number): Value =>
    constant({ dtype: "f32", shape: [sizes.length, 1], data: Float32Array.from(sizes, of) });
  const centers = sizes.flatMap(({ height, width }) =>
    Array.from({ length: height * width }, (_, i) => ({
      x: ((i % width) + 0.5) / width,
      y: (Math.floor(i / width) + 0.5) / height,
    })),
  );
  const onLevels = (of: (center: { x: number; y: number }, size: LevelSize) => number): Value => {
    const data = Float32Array.from(centers.flatMap((center) => sizes.map((size) => of(center, size) - 0.5)));
    return constant({ dtype: "f32", shape: [1, centers.length, 1, sizes.length, 1], data });
  };
  const tokensBefore = (level: number) =>
    sizes.slice(0, level).reduce((n, { height, width }) => n + height * width, 0);
  return {
    columns: onLevels(({ x }, { width }) => x * width),
    rows: onLevels(({ y }, { height }) => y * height),
    width: perLevel(({ width }) => width),
    lastColumn: perLevel(({ width }) => width - 1),
    lastRow: perLevel(({ height }) => height - 1),
    firstToken: perLevel((_, level) => tokensBefore(level)),
  };
}

/** Initial offsets: each head looks in a direction of its own, its points 1, 2, ... pixels away (in the larger axis). */
function ring({ heads, levels, points }: DeformableOptions): number[] {
  return Array.from({ length: heads }, (_, head) => {
    const angle = (2 * Math.PI * head) / heads;
    const [x, y] = [Math.cos(angle), Math.sin(angle)];
    const longest = Math.max(Math.abs(x), Math.abs(y));
    const far = (point: number) => [(x / longest) * (point + 1), (y / longest) * (point + 1)];
    return Array.from({ length: levels }, () => Array.from({ length: points }, (_, point) => far(point)));
  }).flat(3);
}
