/** Average pooling to a given size. */
import { mean, reshape, shape4, type Value } from "../graph/index.js";

/** Means of equal cells: `[N,C,H,W]` -> `[N,C,height,width]`. */
export function averagePool(x: Value, height: number, width: number): Value {
  const [batch, channels, rows, columns] = shape4(x, "averagePool");
  if (rows % height !== 0 || columns % width !== 0) {
    throw new RangeError(`averagePool: ${rows}x${columns} pixels are not whole cells of ${height}x${width}`);
  }
  const cells = reshape(x, [batch, channels, height, rows / height, width, columns / width]);
  return mean(cells, { axes: [3, 5] });
}
