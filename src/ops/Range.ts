import { int64 } from '../tensor/tensor.js';
import { pinAll } from './links.js';
import { defineOp, refused } from './spec.js';

export const Range = defineOp({
  op: 'Range',
  since: 11,
  inputs: ['start', 'limit', 'delta'],
  outputs: ['output'],
  grad: refused('its length follows from its inputs'),
  channels: (node) => pinAll(node, 'Range numbers the indices of this axis'),
  examples: [{ title: 'integers', inputs: [int64([], [1]), int64([], [9]), int64([], [3])] }],
});
