import { int64 } from '../tensor/tensor.js';
import { intsOf, isStable } from './knownInts.js';
import { noGradient, pinAll } from './links.js';
import { cutShape, resizeInts } from './sizes.js';
import { defineOp, type Pin } from './spec.js';

export const ConstantOfShape = defineOp({
  op: 'ConstantOfShape',
  since: 9,
  inputs: ['input'],
  outputs: ['output'],
  grad: noGradient,
  channels: (node) => {
    const [shape] = node.inputs;
    const [y] = node.outputs;
    const target = intsOf(node, 0, 'shape');
    // What it holds has to be known as well: rules ask for it where they meet a value that no input makes.
    if (!target || !y.known) return pinAll(node, 'the shape of ConstantOfShape is computed from data');
    const pins: Pin[] = [{ at: { value: shape!, axis: 0 }, why: 'it lists sizes' }];
    y.shape.forEach((_, axis) => {
      if (!isStable(node, 0, axis)) pins.push({ at: { value: y, axis }, why: 'its size may change from run to run' });
    });
    return {
      pins,
      free: y.shape.flatMap((_, axis) => (isStable(node, 0, axis) ? [{ value: y, axis }] : [])),
      patch: (cut) => {
        const after = cutShape(cut, y);
        resizeInts(
          cut,
          0,
          y.shape.map((size, axis) => after[axis] - size),
        );
      },
    };
  },
  examples: [{ title: 'zeros', inputs: [int64([2], [2, 3])], parameters: [0] }],
});
