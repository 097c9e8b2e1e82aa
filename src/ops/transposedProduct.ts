import type { GraphBuilder, Value } from '../onnx/builder.js';

/** From this many columns on, onnxruntime's transA transposes its left operand again and again. */
const WIDE = 512;

/** Emits aᵀ · b of two matrices [k, m] and [k, n], times alpha. */
export function transposedProduct(g: GraphBuilder, a: Value, b: Value, alpha = 1): Value {
  const [k, m] = a.shape;
  if (g.engine.provider !== 'cpu' || b.shape[1] < WIDE) return g.gemm(a, b, { transA: true, alpha });
  // With a third axis, or the optimiser makes it transA again.
  const turned = g.reshape(g.transpose(g.reshape(a, [k, m, 1]), [2, 1, 0]), [m, k]);
  return g.gemm(turned, b, { alpha });
}
