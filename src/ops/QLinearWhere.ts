import { bool, float32 } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { quantised, zeroPoint } from './examples.js';
import { wholeNumbers } from './quantised.js';
import { defineOp } from './spec.js';

/**
 * Where of quantised operands, brought to the scale of the output.
 *
 * Source: com.microsoft QLinearWhere 1.
 */
export const QLinearWhere = defineOp({
  op: 'QLinearWhere',
  domain: 'com.microsoft',
  inputs: ['condition', 'X', 'x_scale', 'x_zero_point', 'Y', 'y_scale', 'y_zero_point', 'z_scale', 'z_zero_point'],
  outputs: ['Z'],
  grad: wholeNumbers,
  channels: (node) => broadcasting({ ...node, inputs: [0, 1, 4].map((i) => node.inputs[i]) }),
  examples: [
    {
      title: 'a row',
      inputs: [
        bool([2, 3], [true, false, true, true, false, false]),
        quantised('uint8', [2, 3]),
        float32([], [0.02]),
        zeroPoint('uint8', 120),
        quantised('uint8', [3]),
        float32([], [0.01]),
        zeroPoint('uint8', 130),
        float32([], [0.03]),
        zeroPoint('uint8', 100),
      ],
      parameters: [2, 3, 5, 6, 7, 8],
    },
  ],
});
