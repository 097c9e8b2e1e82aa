import { Formula } from './formula.js';
import { exactGelu } from './geluForm.js';
import { spelt } from './spelt.js';

/**
 * Y = X·Φ(X), exactly, from before ONNX had a Gelu.
 *
 * Source: com.microsoft Gelu 1.
 */
export const MicrosoftGelu = spelt({
  op: 'Gelu',
  inputs: ['X'],
  form: (node, context) => {
    const formula = new Formula(node, context);
    exactGelu(formula, node.input[0], node.output[0]);
    return formula.nodes;
  },
  examples: [{ title: 'any shape', inputs: [[2, 3, 4]], range: [-2, 2] }],
});
