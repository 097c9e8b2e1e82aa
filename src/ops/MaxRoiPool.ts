import { float32 } from '../tensor/tensor.js';
import { regionChannels } from './regions.js';
import { defineOp, refused } from './spec.js';

export const MaxRoiPool = defineOp({
  op: 'MaxRoiPool',
  inputs: ['X', 'rois'],
  outputs: ['Y'],
  grad: refused('pooling of regions is not trained'),
  channels: regionChannels,
  examples: [
    {
      title: 'two regions',
      inputs: [[1, 3, 6, 6], float32([2, 5], [0, 0, 0, 3, 3, 0, 1, 2, 5, 5])],
      attributes: { pooled_shape: [2, 2] },
      parameters: [1],
    },
  ],
});
