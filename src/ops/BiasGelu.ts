import { Formula } from './formula.js';
import { exactGelu } from './geluForm.js';
import { spelt } from './spelt.js';

/**
 * Y = G(A + B), with the exact Gelu G and a bias B along the last axis.
 *
 * Source: com.microsoft BiasGelu 1.
 */
export const BiasGelu = spelt({
  op: 'BiasGelu',
  inputs: ['A', 'B'],
  trains: [1],
  form: (node, context) => {
    const formula = new Formula(node, context);
    exactGelu(formula, formula.apply('Add', node.input), node.output[0]);
    return formula.nodes;
  },
  examples: [
    { title: 'a sequence', inputs: [[2, 3, 4], [4]], parameters: [1] },
    { title: 'rows', inputs: [[3, 5], [5]], parameters: [1] },
  ],
});
