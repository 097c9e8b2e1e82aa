import { int64 } from '../tensor/tensor.js';
import { intsOf, isStable } from './knownInts.js';
import { noGradient, pinAll } from './links.js';
import { cutShape, shiftInts } from './sizes.js';
import { defineOp } from './spec.js';

/** All of its channels hold the same number: what meets them decides which go. */
export const ConstantOfShape = defineOp({
  op: 'ConstantOfShape',
  since: 9,
  inputs: ['input'],
  outputs: ['output'],
  grad: noGradient,
  channels: (node) => {
    const target = intsOf(node, 0, 'input');
    if (!target) return pinAll(node, 'the shape of ConstantOfShape is computed from data');
    const [y] = node.outputs;
    const axes = y.shape.map((_, axis) => ({ value: y, axis }));
    return {
      free: axes.filter(({ axis }) => isStable(node, 0, axis)),
      pins: axes
        .filter(({ axis }) => !isStable(node, 0, axis))
        .map((at) => ({ at, why: 'its size changes with that of an input' })),
      patch: (cut) => {
        const after = cutShape(cut, y);
        shiftInts(
          cut,
          0,
          target.map((size, axis) => after[axis] - size),
        );
      },
    };
  },
  examples: [{ title: 'zeros', inputs: [int64([2], [2, 3])], parameters: [0] }],
});
