import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

/**
 * y = x·Φ(x), or its approximation by tanh. Opset 18 has no Gelu, so that the training graph spells it out.
 *
 * Exact: Φ(x) = ½(1 + erf(x/√2)). Tanh: Φ(x) = ½(1 + tanh(√(2/π)·x·(1 + c·x²))).
 */
export const Gelu = defineOp({
  op: 'Gelu',
  since: 20,
  inputs: ['X'],
  outputs: ['Y'],
  grad: spelledOut,
  channels: elementwise,
  normalise: (node, context) => {
    const f = new Formula(node, context);
    const [x] = node.input;
    const byTanh = new Attributes(node).string('approximate', 'none') === 'tanh';
    const t = byTanh ? f.apply('Tanh', [inner(f, x)]) : f.apply('Erf', [f.apply('Mul', [x, f.scalar(Math.SQRT1_2)])]);
    const phi = f.apply('Mul', [f.apply('Add', [t, f.scalar(1)]), f.scalar(0.5)]);
    return f.last('Mul', [x, phi]);
  },
  examples: [
    { title: 'exact', inputs: [[2, 3, 4]], opset: 20, range: [-2, 2] },
    { title: 'by tanh', inputs: [[2, 3]], attributes: { approximate: 'tanh' }, opset: 20, range: [-2, 2] },
  ],
});

const root = Math.sqrt(2 / Math.PI);
const c = 0.044715;

function inner(f: Formula, x: string): string {
  const squares = f.apply('Mul', [x, x]);
  const slope = f.apply('Add', [f.apply('Mul', [squares, f.scalar(c * root)]), f.scalar(root)]);
  return f.apply('Mul', [x, slope]);
}
