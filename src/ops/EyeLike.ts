import { noGradient, pinAll } from './links.js';
import { defineOp } from './spec.js';

export const EyeLike = defineOp({
  op: 'EyeLike',
  since: 9,
  inputs: ['input'],
  outputs: ['output'],
  grad: noGradient,
  channels: (node) => pinAll(node, 'EyeLike makes a matrix of this size'),
  examples: [
    { title: 'wide', inputs: [[2, 4]] },
    { title: 'above the diagonal', inputs: [[3, 3]], attributes: { k: 1 } },
  ],
});
