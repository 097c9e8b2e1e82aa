import { Attributes } from '../onnx/attributes.js';
import { Chain } from './chain.js';
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
    const chain = new Chain(node, context);
    const [x] = node.input;
    const alpha = new Attributes(node).float('alpha', 1.702);
    const inner = alpha === 1 ? x : chain.emit('Mul', [x, chain.scalar(alpha)]);
    chain.emit('Mul', [x, chain.emit('Sigmoid', [inner])], {}, node.output[0]);
    return chain.nodes;
  },
  examples: [
    { title: 'default alpha', inputs: [[2, 3, 4]], range: [-2, 2] },
    { title: 'SiLU', inputs: [[2, 3]], attributes: { alpha: { float: 1 } }, range: [-2, 2] },
  ],
});
