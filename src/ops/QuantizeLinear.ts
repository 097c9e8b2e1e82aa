import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { quantiseChannels } from './quantiseForm.js';
import { defineOp, refused } from './spec.js';

/** y = saturate(round(x / scale) + zero point), with one scale, or one per index of `axis`. */
export const QuantizeLinear = defineOp({
  op: 'QuantizeLinear',
  since: 10,
  inputs: ['x', 'y_scale', 'y_zero_point?'],
  outputs: ['y'],
  trains: [0],
  grad: refused('rounding has no gradient; strip works'),
  channels: quantiseChannels,
  examples: [
    {
      title: 'one scale',
      inputs: [[2, 3, 4], float32([], [0.02]), zeroPoint('uint8', 100)],
      parameters: [1, 2],
    },
    {
      title: 'a scale per channel',
      inputs: [[2, 3, 4], float32([3], [0.02, 0.01, 0.03]), quantised('int8', [3], 8)],
      parameters: [1, 2],
      attributes: { axis: 1 },
      opset: 13,
    },
    { title: 'no zero point', inputs: [[4, 3], float32([], [0.02])], parameters: [1] },
  ],
});
