import { int64 } from '../tensor/tensor.js';
import { noGradient, pinned } from './links.js';
import { defineOp } from './spec.js';

export const ConstantOfShape = defineOp({
  op: 'ConstantOfShape',
  since: 9,
  inputs: ['input'],
  outputs: ['output'],
  grad: noGradient,
  channels: pinned('ConstantOfShape makes an axis of this size'),
  examples: [{ title: 'zeros', inputs: [int64([2], [2, 3])], parameters: [0] }],
});
