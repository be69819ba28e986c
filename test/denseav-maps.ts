/** DenseAV's values in the layout of its published code, for comparisons with it. */
import { concat, reshape, resizeBicubic, slice, transpose, type Value } from "../src/graph/index.js";
import { shownHeat } from "../src/models/denseav/heatmap.js";
import type { TokenGrid } from "../src/nn/index.js";

/** `[N,T,D]` as the published code lays it out, `[N,D,1,T]`. */
export function channelsFirst(x: Value): Value {
  const [batch = 0, steps = 0, channels = 0] = x.shape;
  return reshape(transpose(x, [0, 2, 1]), [batch, channels, 1, steps]);
}

/** `[N,K,L,T]` -> `[N,K,H,W,T]` */
export function overTime(x: Value, { height, width }: TokenGrid): Value {
  const [count = 0, heads = 0, , steps = 0] = x.shape;
  return reshape(x, [count, heads, height, width, steps]);
}

/** Frame f of n at step floor(f / n * T), enlarged and scaled over all frames: `[N,1,L,T]` -> `[N,1,8H,8W]` */
export function shown(similarities: Value, { height, width }: TokenGrid): Value {
  const [count = 0, , , steps = 0] = similarities.shape;
  const picked = Array.from({ length: count }, (_, frame) => {
    const step = Math.floor((frame / count) * steps);
    return slice(similarities, [
      { axis: 0, start: frame, end: frame + 1 },
      { axis: 3, start: step, end: step + 1 },
    ]);
  });
  const maps = reshape(concat(picked, 0), [count, 1, height, width]);
  const enlarged = resizeBicubic(maps, { height: 8 * height, width: 8 * width });
  return reshape(shownHeat(reshape(enlarged, [1, -1]), undefined), enlarged.shape);
}
