import { noGradient, pinned } from './links.js';
import { defineOp } from './spec.js';

export const Size = defineOp({
  op: 'Size',
  inputs: ['data'],
  outputs: ['size'],
  grad: noGradient,
  channels: pinned('Size counts all elements'),
  examples: [{ title: 'any shape', inputs: [[2, 3]] }],
});
