import { float32, int64 } from '../tensor/tensor.js';
import { regionChannels } from './regions.js';
import { defineOp, refused } from './spec.js';

export const RoiAlign = defineOp({
  op: 'RoiAlign',
  since: 10,
  inputs: ['X', 'rois', 'batch_indices'],
  outputs: ['Y'],
  grad: refused('pooling of regions is not trained'),
  channels: regionChannels,
  examples: [
    {
      title: 'two regions',
      inputs: [[1, 3, 6, 6], float32([2, 4], [0, 0, 3, 3, 1, 2, 5, 5]), int64([2], [0, 0])],
      attributes: { output_height: 2, output_width: 2, sampling_ratio: 2 },
      parameters: [1, 2],
    },
  ],
});
