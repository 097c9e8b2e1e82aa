import { bool } from '../tensor/tensor.js';
import { noGradient } from './links.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

export const Not = defineOp({
  op: 'Not',
  inputs: ['X'],
  outputs: ['Y'],
  grad: noGradient,
  channels: elementwise,
  examples: [{ title: 'any shape', inputs: [bool([2, 3], [true, false, true, true, false, false])] }],
});
