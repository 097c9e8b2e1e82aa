import { Chain } from './chain.js';
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
    const chain = new Chain(node, context);
    exactGelu(chain, chain.emit('Add', node.input), node.output[0]);
    return chain.nodes;
  },
  examples: [
    { title: 'a sequence', inputs: [[2, 3, 4], [4]], parameters: [1] },
    { title: 'rows', inputs: [[3, 5], [5]], parameters: [1] },
  ],
});
