import { regionChannels } from './regions.js';
import { defineOp, refused } from './spec.js';

export const GridSample = defineOp({
  op: 'GridSample',
  since: 16,
  inputs: ['X', 'grid'],
  outputs: ['Y'],
  grad: refused('sampling at computed positions is not trained'),
  channels: regionChannels,
  examples: [
    {
      title: 'linear',
      inputs: [
        [2, 3, 4, 4],
        [2, 3, 2, 2],
      ],
      opset: 16,
      parameters: [1],
    },
    {
      title: 'linear, computed grid, newer form',
      inputs: [
        [2, 3, 4, 4],
        [2, 3, 2, 2],
      ],
      opset: 20,
    },
  ],
});
