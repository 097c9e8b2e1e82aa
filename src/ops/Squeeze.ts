import { int64 } from '../tensor/tensor.js';
import { listBecomesInput } from './axesForm.js';
import { regrouping } from './factors.js';
import { pinAll } from './links.js';
import { defineOp } from './spec.js';

export const Squeeze = defineOp({
  op: 'Squeeze',
  inputs: ['data', 'axes?'],
  outputs: ['squeezed'],
  grad: (g, { inputs: [x, ...rest] }, [dy]) => [() => g.reshape(dy!, x.shape), ...rest.map(() => null)],
  channels: (node) => {
    const [x, axes] = node.inputs;
    if (!axes && !node.attrs.has('axes'))
      return pinAll(node, 'Squeeze without axes would drop an axis that is cut to one channel');
    return regrouping('Squeeze', x!, node.outputs[0]);
  },
  normalise: listBecomesInput('axes', 13),
  examples: [
    { title: 'named axes', inputs: [[2, 1, 3, 1], int64([2], [1, 3])], parameters: [1] },
    { title: 'a negative axis', inputs: [[2, 3, 1], int64([1], [-1])], parameters: [1] },
    { title: 'all axes of size 1', inputs: [[2, 1, 3]] },
    { title: 'axes as attribute', inputs: [[2, 1, 3]], attributes: { axes: [1] }, opset: 9 },
  ],
});
