import { poolChannels } from './MaxPool.js';
import { defineOp, refused } from './spec.js';

export const LpPool = defineOp({
  op: 'LpPool',
  inputs: ['X'],
  outputs: ['Y'],
  grad: refused('pooling by a p-norm is not trained'),
  channels: poolChannels('zero'), // windows at a padded border sum fewer elements
  examples: [{ title: '2-D', inputs: [[2, 3, 4, 4]], attributes: { kernel_shape: [2, 2], strides: [2, 2] } }],
});
