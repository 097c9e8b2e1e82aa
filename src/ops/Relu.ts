import type { GraphBuilder, Value } from '../onnx/builder.js';
import { nativeReluGradient } from './native.js';
import { unary } from './unary.js';

export const Relu = unary({ op: 'Relu', grad: (g, { y, dy }) => passWhere(g, y, dy) });

/** dy where y > 0, else 0. */
export function passWhere(g: GraphBuilder, y: Value, dy: Value): Value {
  if (g.engine.features.has('native') && y.dtype === 'float32') return nativeReluGradient(g, y, dy);
  if (!g.engine.features.has('HardSigmoid') || y.dtype !== 'float32') return g.where(g.greater(y, 0), dy, 0);
  // clip(10³⁰·y, 0, 1): one pass on all threads, and no y that matters is so small that it gives less than 1.
  return g.mul(dy, g.unary('HardSigmoid', y, { alpha: { float: 1e30 }, beta: { float: 0 } }));
}
