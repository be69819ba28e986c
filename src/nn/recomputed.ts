/** Layers whose activations are computed twice instead of kept. */
import { recompute, type Value } from "../graph/index.js";
import type { PassLayer } from "./dropout.js";

/**
 * A layer that keeps its input only, where the pass asks for it, and computes what is inside again for its gradients: the
 * same values, with the same draws.
 */
export function recomputed(layer: PassLayer): PassLayer {
  return (x, pass): Value => {
    if (!pass.recompute) return layer(x, pass);
    const again = pass.replay();
    return recompute(x, layer(x, pass), (copied) => layer(copied, again()));
  };
}
