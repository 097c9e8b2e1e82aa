import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Add = defineOp({
  op: 'Add',
  inputs: ['A', 'B'],
  outputs: ['C'],
  grad: (_, __, [dy]) => [() => dy!, () => dy!],
  channels: (node) => broadcasting(node),
  examples: broadcastExamples(),
});
