import { Attributes } from '../onnx/attributes.js';
import { Formula } from './formula.js';
import { spelt } from './spelt.js';

/**
 * Y = X·σ(alpha·X); with alpha = 1 it is SiLU.
 *
 * Source: com.microsoft QuickGelu 1.
 */
export const QuickGelu = spelt({
  op: 'QuickGelu',
  inputs: ['X'],
  form: (node, context) => {
    const formula = new Formula(node, context);
    const [x] = node.input;
    const alpha = new Attributes(node).float('alpha', 1.702);
    const inner = alpha === 1 ? x : formula.apply('Mul', [x, formula.scalar(alpha)]);
    formula.apply('Mul', [x, formula.apply('Sigmoid', [inner])], {}, node.output[0]);
    return formula.nodes;
  },
  examples: [
    { title: 'default alpha', inputs: [[2, 3, 4]], range: [-2, 2] },
    { title: 'SiLU', inputs: [[2, 3]], attributes: { alpha: { float: 1 } }, range: [-2, 2] },
  ],
});
