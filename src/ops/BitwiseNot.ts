import { int32 } from '../tensor/tensor.js';
import { noGradient } from './links.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

export const BitwiseNot = defineOp({
  op: 'BitwiseNot',
  since: 18,
  inputs: ['X'],
  outputs: ['Y'],
  grad: noGradient,
  channels: elementwise,
  examples: [{ title: 'any shape', inputs: [int32([2, 3], [1, -2, 3, 0, 5, 6])] }],
});
