import { noGradient } from './links.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

export const IsNaN = defineOp({
  op: 'IsNaN',
  since: 9,
  inputs: ['X'],
  outputs: ['Y'],
  grad: noGradient,
  channels: elementwise,
  examples: [{ title: 'any shape', inputs: [[2, 3]] }],
});
