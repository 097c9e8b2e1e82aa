import type { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

/**
 * y = x·Φ(x), or its approximation by tanh. Opset 18 has no Gelu, so that the training graph spells it out.
 *
 * Exact: Φ(x) = ½(1 + erf(x/√2)), dy/dx = Φ + x·exp(−x²/2)/√(2π).
 * Tanh: Φ(x) = ½(1 + t), t = tanh u, u = √(2/π)(x + c·x³), dy/dx = Φ + ½·x·(1 − t²)·u′.
 */
export const Gelu = defineOp({
  op: 'Gelu',
  since: 20,
  inputs: ['X'],
  outputs: ['Y'],
  grad: (g, { inputs: [x], attrs, saved: { phi, t } }, [dy]) => [
    () => g.mul(dy!, g.add(phi, byTanh(attrs) ? g.mul(x, tanhSlope(g, x, t)) : g.mul(x, density(g, x)))),
  ],
  channels: elementwise,
  lower: (g, { inputs: [x], attrs }) => {
    const cubic = (): Value => g.add(x, g.mul(g.mul(x, g.mul(x, x)), c));
    const t = byTanh(attrs) ? g.tanh(g.mul(cubic(), root)) : g.unary('Erf', g.mul(x, Math.SQRT1_2));
    const phi = g.mul(g.add(t, 1), 0.5);
    return { outputs: [g.mul(x, phi)], saved: { phi, t } };
  },
  examples: [
    { title: 'exact', inputs: [[2, 3, 4]], opset: 20, range: [-2, 2] },
    { title: 'by tanh', inputs: [[2, 3]], attributes: { approximate: 'tanh' }, opset: 20, range: [-2, 2] },
  ],
});

const root = Math.sqrt(2 / Math.PI);
const c = 0.044715;

function byTanh(attrs: Attributes): boolean {
  return attrs.string('approximate', 'none') === 'tanh';
}

function density(g: GraphBuilder, x: Value): Value {
  return g.mul(g.exp(g.mul(g.mul(x, x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
}

function tanhSlope(g: GraphBuilder, x: Value, t: Value): Value {
  const inner = g.add(g.mul(g.mul(x, x), 3 * c * root), root);
  return g.mul(g.mul(g.sub(g.scalar(1, x.dtype), g.mul(t, t)), inner), 0.5);
}
