import { noGradient, pinAll } from './links.js';
import { defineOp } from './spec.js';

export const NonZero = defineOp({
  op: 'NonZero',
  since: 9,
  inputs: ['X'],
  outputs: ['Y'],
  grad: noGradient,
  channels: (node) => pinAll(node, 'NonZero tells the indices of this axis'),
  examples: [{ title: 'any shape', inputs: [[2, 3]] }],
});
