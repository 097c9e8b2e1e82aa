import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Div = defineOp({
  op: 'Div',
  inputs: ['A', 'B'],
  outputs: ['C'],
  grad: (g, { inputs: [, b], outputs: [y] }, [dy]) => [() => g.div(dy!, b), () => g.neg(g.div(g.mul(dy!, y), b))],
  channels: (node) => broadcasting(node, { zeroStays: (operand) => operand === 0 }),
  examples: broadcastExamples([0.5, 2]),
});
