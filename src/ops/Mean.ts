import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Mean = defineOp({
  op: 'Mean',
  inputs: ['data_0...'],
  outputs: ['mean'],
  grad: (g, { inputs }, [dy]) => inputs.map(() => () => g.mul(dy!, 1 / inputs.length)),
  channels: (node) => broadcasting(node),
  examples: [...broadcastExamples(), { title: 'three operands', inputs: [[2, 3], [3], [2, 1]] }],
});
