import { bool } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { defineOp } from './spec.js';

const mask = bool([2, 3], [true, false, true, true, false, false]);

export const Where = defineOp({
  op: 'Where',
  since: 9,
  inputs: ['condition', 'X', 'Y'],
  outputs: ['output'],
  grad: (g, { inputs: [condition] }, [dy]) => [
    null,
    () => g.where(condition, dy!, 0),
    () => g.where(condition, g.scalar(0, dy!.dtype), dy!),
  ],
  channels: (node) => broadcasting(node),
  examples: [
    { title: 'equal shapes', inputs: [mask, [2, 3], [2, 3]] },
    { title: 'a scalar and a row', inputs: [mask, [], [3]] },
    { title: 'the condition broadcasts', inputs: [bool([3, 1], [true, false, true]), [1, 4], [2, 3, 4]] },
  ],
});
