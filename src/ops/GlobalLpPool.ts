import { Attributes } from '../onnx/attributes.js';
import { Formula, spelledOut } from './formula.js';
import { poolChannels } from './MaxPool.js';
import { defineOp } from './spec.js';

/** The p-norm of every channel over its positions. */
export const GlobalLpPool = defineOp({
  op: 'GlobalLpPool',
  inputs: ['X'],
  outputs: ['Y'],
  grad: spelledOut,
  channels: poolChannels('zero'), // a norm grows with the number of positions
  normalise: (node, context) => {
    const [x] = node.input;
    const rank = context.shape(x)?.length;
    if (rank === undefined) return undefined;
    const p = new Attributes(node).int('p', 2);
    const f = new Formula(node, context);
    const axes = f.ints(Array.from({ length: rank - 2 }, (_, i) => i + 2));
    if (p <= 2) return f.last(p === 1 ? 'ReduceL1' : 'ReduceL2', [x, axes]);
    const powers = f.apply('Pow', [f.apply('Abs', [x]), f.scalar(p)]);
    return f.last('Pow', [f.apply('ReduceSum', [powers, axes]), f.scalar(1 / p)]);
  },
  examples: [
    { title: '2-norm', inputs: [[2, 3, 4, 5]] },
    { title: '1-norm', inputs: [[2, 3, 4]], attributes: { p: 1 } },
    { title: '3-norm', inputs: [[2, 3, 4]], attributes: { p: 3 }, range: [0.2, 1] },
  ],
});
