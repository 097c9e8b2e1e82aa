import { int64 } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { regrouping } from './factors.js';
import { defineOp } from './spec.js';

export const Unsqueeze = defineOp({
  op: 'Unsqueeze',
  inputs: ['data', 'axes'],
  outputs: ['expanded'],
  grad: (g, { inputs: [x, ...rest] }, [dy]) => [() => g.reshape(dy!, x.shape), ...rest.map(() => null)],
  channels: ({ inputs: [x], outputs: [y] }) => regrouping('Unsqueeze', x!, y),
  normalise: listBecomesInput('axes', 13),
  examples: [
    { title: 'two axes', inputs: [[2, 3], int64([2], [0, 3])], parameters: [1] },
    { title: 'a negative axis', inputs: [[2, 3], int64([1], [-1])], parameters: [1] },
    { title: 'axes as attribute', inputs: [[2, 3]], attributes: { axes: [2, 3] }, opset: 11 },
  ],
});
