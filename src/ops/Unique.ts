import { apart } from './examples.js';
import { defineOp, refused } from './spec.js';

export const Unique = defineOp({
  op: 'Unique',
  since: 11,
  inputs: ['X'],
  outputs: ['Y', 'indices?', 'inverse_indices?', 'counts?'],
  grad: refused('how many elements are left depends on data'),
  channels: refused('Unique leaves indices of this axis out by what they hold'),
  examples: [{ title: 'of all elements', inputs: [apart([2, 3])] }],
});
