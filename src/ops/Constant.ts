import { makeTensor } from '../onnx/make.js';
import { float32 } from '../tensor/tensor.js';
import { defineOp } from './spec.js';

/** A Constant node is a parameter like an initializer: its readers say what its axes mean. */
export const Constant = defineOp({
  op: 'Constant',
  inputs: [],
  outputs: ['output'],
  grad: () => [],
  channels: ({ outputs: [y] }) => ({ free: y.shape.map((_, axis) => ({ value: y, axis })) }),
  examples: [
    { title: 'a tensor', inputs: [], attributes: { value: { tensor: makeTensor('', float32([2], [1, 2])) } } },
    { title: 'a list of floats', inputs: [], attributes: { value_floats: { floats: [1, 2, 3] } }, opset: 12 },
  ],
});
