import { float32 } from '../tensor/tensor.js';
import { quantised } from './examples.js';
import { pinned } from './links.js';
import { wholeNumbers } from './quantised.js';
import { defineOp } from './spec.js';

/**
 * Y = A · Bᵀ with a weight of 2 to 8 bits, packed in blocks along its columns.
 *
 * Source: com.microsoft MatMulNBits 1.
 */
export const MatMulNBits = defineOp({
  op: 'MatMulNBits',
  domain: 'com.microsoft',
  inputs: ['A', 'B', 'scales', 'zero_points?', 'g_idx?', 'bias?'],
  outputs: ['Y'],
  grad: wholeNumbers,
  channels: pinned('packed blocks of columns share a scale'),
  macs: ({ outputs: [y], attrs }) => y.shape.reduce((n, d) => n * d, 1) * attrs.int('K', 0),
  examples: [
    {
      title: 'blocks of 16',
      inputs: [[2, 16], quantised('uint8', [3, 1, 8]), float32([3], [0.1, 0.2, 0.1])],
      parameters: [1, 2],
      attributes: { K: 16, N: 3, bits: 4, block_size: 16 },
    },
  ],
});
