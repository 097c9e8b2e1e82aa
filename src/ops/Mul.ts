import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Mul = defineOp({
  op: 'Mul',
  inputs: ['A', 'B'],
  outputs: ['C'],
  grad: (g, { inputs: [a, b] }, [dy]) => [() => g.mul(dy!, b), () => g.mul(dy!, a)],
  channels: (node) => broadcasting(node, { combine: 'product' }),
  examples: broadcastExamples(),
});
