import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { wholeNumbers } from './quantised.js';
import { quantiseChannels } from './quantiseForm.js';
import { defineOp } from './spec.js';

/**
 * y = (x − zero point) · scale, with one scale, or one per index of `axis`.
 *
 * Source: com.microsoft DequantizeLinear 1.
 */
export const MicrosoftDequantizeLinear = defineOp({
  op: 'DequantizeLinear',
  domain: 'com.microsoft',
  inputs: ['x', 'x_scale', 'x_zero_point?'],
  outputs: ['y'],
  trains: [0],
  grad: wholeNumbers,
  channels: quantiseChannels,
  examples: [
    {
      title: 'one scale',
      inputs: [quantised('uint8', [2, 3, 4]), float32([], [0.02]), zeroPoint('uint8', 100)],
      parameters: [1, 2],
    },
    {
      title: 'a weight with a scale per channel',
      inputs: [quantised('int8', [4, 3]), float32([3], [0.02, 0.01, 0.03]), quantised('int8', [3], 8)],
      parameters: [0, 1, 2],
      attributes: { axis: -1 },
    },
    { title: 'a bias', inputs: [quantised('int32', [4], 2000), float32([], [0.002])], parameters: [0, 1] },
  ],
});
