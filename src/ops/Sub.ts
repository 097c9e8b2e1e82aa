import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Sub = defineOp({
  op: 'Sub',
  inputs: ['A', 'B'],
  outputs: ['C'],
  grad: (g, _, [dy]) => [() => dy!, () => g.neg(dy!)],
  channels: (node) => broadcasting(node),
  examples: broadcastExamples(),
});
