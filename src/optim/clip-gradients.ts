/** Clipping of gradients by their norm (Pascanu et al. 2013, "On the difficulty of training recurrent neural networks"). */

/**
 * Scales all gradients, in place, so that their L2 norm together is at most `maxNorm`: by
 * min(1, maxNorm / (norm + 1e-6)), as `torch.nn.utils.clip_grad_norm_`. Returns the norm before.
 */
export function clipGradients(gradients: Iterable<Float32Array | Float64Array>, maxNorm: number): number {
  const all = [...gradients];
  let squares = 0;
  for (const gradient of all) for (const g of gradient) squares += g * g;
  const norm = Math.sqrt(squares);
  const factor = maxNorm / (norm + 1e-6);
  if (factor < 1) {
    for (const gradient of all)
      for (let i = 0; i < gradient.length; i++) gradient[i] = (gradient[i] ?? 0) * factor;
  }
  return norm;
}
