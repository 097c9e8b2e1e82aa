import { convMacs } from './Conv.js';
import { wholeNumbers } from './quantised.js';
import { convolving, quantisedConvExample, quantisedConvolution } from './quantisedConvolution.js';
import { defineOp } from './spec.js';

/** A convolution of quantised numbers, its bias a whole number of the products' quanta. */
export const QLinearConv = defineOp({
  op: 'QLinearConv',
  since: 10,
  inputs: ['x', 'x_scale', 'x_zero_point', 'w', 'w_scale', 'w_zero_point', 'y_scale', 'y_zero_point', 'B?'],
  outputs: ['y'],
  trains: [3, 8],
  grad: wholeNumbers,
  channels: quantisedConvolution,
  macs: (node) => convMacs(convolving(node, [node.inputs[0], node.inputs[3]])),
  examples: [
    quantisedConvExample('padded, a scale per channel', [1, 3, 5, 5], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }, 4),
    quantisedConvExample('one scale, with bias', [2, 3, 4, 4], [2, 3, 1, 1], {}, 1),
    quantisedConvExample('two groups', [1, 4, 4, 4], [6, 2, 3, 3], { group: 2 }, 6),
    quantisedConvExample('depthwise', [1, 3, 5, 5], [3, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }, 3),
  ],
});
