import { Formula } from './formula.js';
import { tanhGelu } from './geluForm.js';
import { spelt } from './spelt.js';

/**
 * Y = G(X + bias), with the Gelu G that tanh approximates.
 *
 * Source: com.microsoft FastGelu 1.
 */
export const FastGelu = spelt({
  op: 'FastGelu',
  inputs: ['X', 'bias?'],
  trains: [1],
  form: (node, context) => {
    const formula = new Formula(node, context);
    const [x, bias = ''] = node.input;
    tanhGelu(formula, bias === '' ? x : formula.apply('Add', [x, bias]), node.output[0]);
    return formula.nodes;
  },
  examples: [
    { title: 'without bias', inputs: [[2, 3, 4]], range: [-2, 2] },
    { title: 'with bias', inputs: [[2, 3, 4], [4]], parameters: [1] },
  ],
});
