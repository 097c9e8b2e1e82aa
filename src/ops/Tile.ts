import { int64 } from '../tensor/tensor.js';
import { ints, intsOf, isStable } from './knownInts.js';
import { pinAll } from './links.js';
import { cutShape, shiftInts } from './sizes.js';
import { defineOp, type Link } from './spec.js';

/** Index `j` of a repeated axis is a copy of index `j mod n`: repeats are counts of copies, not of channels. */
export const Tile = defineOp({
  op: 'Tile',
  inputs: ['input', 'repeats'],
  outputs: ['output'],
  grad: (g, { inputs: [x, repeats] }, [dy]) => [
    () => {
      const times = repeats.constant ? ints(repeats.constant) : dy!.shape.map((size, axis) => size / x.shape[axis]);
      const axes = times.map((_, axis) => 2 * axis);
      return g.reduceSum(
        g.reshape(
          dy!,
          times.flatMap((n, axis) => [n, x.shape[axis]]),
        ),
        axes,
      );
    },
    null,
  ],
  channels: (node) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    if (!intsOf(node, 1, 'repeats')) return pinAll(node, 'the repeats of Tile are computed from data');
    // One index carries no channel: it is repeated for as many as there are.
    const spread = (axis: number) => x!.shape[axis] === 1 && y.shape[axis] > 1 && isStable(node, 1, axis);
    const links = x!.shape.flatMap((size, axis): Link[] => {
      const ends = { from: { value: x!, axis }, to: { value: y, axis } };
      if (y.shape[axis] === size) return [{ ...ends, constants: 'same' }];
      if (spread(axis)) return [];
      return [{ ...ends, map: Int32Array.from({ length: y.shape[axis] }, (_, j) => j % size), constants: 'same' }];
    });
    return {
      links,
      free: y.shape.flatMap((_, axis) => (spread(axis) ? [x!, y].map((value) => ({ value, axis })) : [])),
      patch: (cut) => {
        const after = cutShape(cut, y);
        shiftInts(
          cut,
          1,
          y.shape.map((size, axis) => (spread(axis) ? after[axis] - size : 0)),
        );
      },
    };
  },
  examples: [
    { title: 'channels twice', inputs: [[2, 3, 2], int64([3], [1, 2, 1])], parameters: [1] },
    { title: 'one channel spread', inputs: [[2, 1, 2], int64([3], [1, 4, 1])], parameters: [1] },
    { title: 'all axes', inputs: [[2, 3], int64([2], [3, 2])], parameters: [1] },
  ],
});
