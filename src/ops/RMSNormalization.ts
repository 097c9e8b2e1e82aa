import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { front } from './knownInts.js';
import { normedChannels } from './normedChannels.js';
import { defineOp } from './spec.js';

/** Y = X / √(mean of X² over the trailing axes + ε) · scale. */
export const RMSNormalization = defineOp({
  op: 'RMSNormalization',
  since: 23,
  inputs: ['X', 'scale'],
  outputs: ['Y'],
  trains: [1],
  grad: spelledOut,
  channels: (node) => {
    const first = front(node.attrs.int('axis', -1), node.outputs[0].shape.length);
    return normedChannels(node, { first, summed: [0], scale: 1, epsilon: 1e-5 });
  },
  normalise: (node, context) => {
    const [x, scale] = node.input;
    const rank = context.shape(x)?.length;
    if (rank === undefined) return undefined;
    const attrs = new Attributes(node);
    const first = front(attrs.int('axis', -1), rank);
    const axes = Array.from({ length: rank - first }, (_, i) => first + i);
    const f = new Formula(node, context);
    const mean = f.apply('ReduceMean', [f.apply('Mul', [x, x]), f.ints(axes)]);
    const root = f.apply('Sqrt', [f.apply('Add', [mean, f.scalar(attrs.float('epsilon', 1e-5))])]);
    return f.last('Mul', [f.apply('Div', [x, root]), scale]);
  },
  examples: [
    { title: 'the last axis', inputs: [[2, 3, 5], [5]], parameters: [1] },
    {
      title: 'two axes',
      inputs: [
        [2, 3, 4],
        [3, 4],
      ],
      parameters: [1],
      attributes: { axis: 1, epsilon: { float: 0.01 } },
    },
  ],
});
