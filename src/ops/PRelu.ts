import { broadcasting } from './broadcast.js';
import { defineOp } from './spec.js';

export const PRelu = defineOp({
  op: 'PRelu',
  inputs: ['X', 'slope'],
  outputs: ['Y'],
  grad: (g, { inputs: [x, slope] }, [dy]) => [
    () => g.where(g.less(x, 0), g.mul(dy!, slope), dy!),
    () => g.mul(dy!, g.min(x, 0)),
  ],
  channels: (node) => broadcasting(node, { zeroStays: (operand) => operand === 0 }),
  trains: [1],
  examples: [
    {
      title: 'a slope per channel',
      inputs: [
        [2, 3, 2, 2],
        [3, 1, 1],
      ],
      parameters: [1],
    },
    { title: 'one slope', inputs: [[2, 3, 2, 2], [1]], parameters: [1] },
    { title: 'a slope per feature', inputs: [[2, 4], [4]], parameters: [1] },
  ],
});
