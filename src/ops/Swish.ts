import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

/** y = x · sigmoid(α·x). */
export const Swish = defineOp({
  op: 'Swish',
  since: 24,
  inputs: ['X'],
  outputs: ['Y'],
  grad: spelledOut,
  channels: elementwise,
  normalise: (node, context) => {
    const f = new Formula(node, context);
    const [x] = node.input;
    const alpha = new Attributes(node).float('alpha', 1);
    const scaled = alpha === 1 ? x : f.apply('Mul', [x, f.scalar(alpha)]);
    return f.last('Mul', [x, f.apply('Sigmoid', [scaled])]);
  },
  examples: [
    { title: 'default alpha', inputs: [[2, 3, 4]] },
    { title: 'an alpha of its own', inputs: [[2, 3]], attributes: { alpha: { float: 1.7 } } },
  ],
});
