import { regrouping } from './factors.js';
import { defineOp } from './spec.js';

export const Flatten = defineOp({
  op: 'Flatten',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { inputs: [x] }, [dy]) => [() => g.reshape(dy!, x.shape)],
  channels: ({ inputs: [x], outputs: [y] }) => regrouping('Flatten', x!, y),
  examples: [
    { title: 'samples of features', inputs: [[2, 3, 2, 2]] },
    { title: 'all in one row', inputs: [[2, 3, 2]], attributes: { axis: 0 } },
    { title: 'from a negative axis', inputs: [[2, 3, 2]], attributes: { axis: -1 }, opset: 11 },
  ],
});
