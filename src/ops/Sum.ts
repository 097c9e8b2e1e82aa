import { broadcasting } from './broadcast.js';
import { broadcastExamples } from './examples.js';
import { defineOp } from './spec.js';

export const Sum = defineOp({
  op: 'Sum',
  inputs: ['data_0...'],
  outputs: ['sum'],
  grad: (_, { inputs }, [dy]) => inputs.map(() => () => dy!),
  channels: (node) => broadcasting(node),
  examples: [
    ...broadcastExamples(),
    { title: 'three operands', inputs: [[2, 3], [3], [2, 1]] },
    { title: 'one operand', inputs: [[2, 3]] },
  ],
});
