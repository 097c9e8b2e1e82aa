import { int64 } from '../tensor/tensor.js';
import { intsOf, isStable } from './knownInts.js';
import { pinAll } from './links.js';
import { cutShape, resizeInts } from './sizes.js';
import { defineOp, type Link } from './spec.js';

export const Expand = defineOp({
  op: 'Expand',
  since: 8,
  inputs: ['input', 'shape'],
  outputs: ['output'],
  grad: (_, { inputs }, [dy]) => inputs.map((_, i) => (i === 0 ? () => dy! : null)),
  channels: (node) => {
    const target = intsOf(node, 1, 'shape');
    if (!target) return pinAll(node, 'the target shape of Expand is computed from data');
    const [x] = node.inputs;
    const [y] = node.outputs;
    const lead = y.shape.length - x!.shape.length;
    const links = x!.shape.flatMap((size, axis): Link[] => {
      if (size !== y.shape[axis + lead]) return [];
      return [{ from: { value: x!, axis }, to: { value: y, axis: axis + lead }, constants: 'same' }];
    });
    const offset = y.shape.length - target.length;
    // What is repeated holds the same in all of its places: any of them may go.
    const repeated = y.shape.flatMap((_, axis) => {
      const linked = axis >= lead && x!.shape[axis - lead] === y.shape[axis];
      return !linked && axis >= offset && isStable(node, 1, axis - offset) ? [{ value: y, axis }] : [];
    });
    return {
      links,
      free: repeated,
      patch: (cut) => {
        const after = cutShape(cut, y);
        resizeInts(
          cut,
          1,
          target.map((size, i) => (size === 1 ? 0 : after[i + offset] - y.shape[i + offset])),
        );
      },
    };
  },
  examples: [
    { title: 'positions', inputs: [[2, 3, 1], int64([3], [2, 3, 4])], parameters: [1] },
    { title: 'leading axes', inputs: [[3], int64([2], [2, 1])], parameters: [1] },
  ],
});
