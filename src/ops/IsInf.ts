import { noGradient } from './links.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

export const IsInf = defineOp({
  op: 'IsInf',
  since: 10,
  inputs: ['X'],
  outputs: ['Y'],
  grad: noGradient,
  channels: elementwise,
  examples: [{ title: 'any shape', inputs: [[2, 3]] }],
});
