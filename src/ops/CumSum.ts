import { int64 } from '../tensor/tensor.js';
import { front, ints } from './knownInts.js';
import { pinAll } from './links.js';
import { defineOp } from './spec.js';

/** The adjoint of a running sum is a running sum from the other end. */
export const CumSum = defineOp({
  op: 'CumSum',
  since: 11,
  inputs: ['x', 'axis'],
  outputs: ['y'],
  grad: (g, { inputs: [, axis], attrs }, [dy]) => [
    () =>
      g.emit('CumSum', [dy!, axis], [dy!], {
        exclusive: attrs.int('exclusive', 0),
        reverse: 1 - attrs.int('reverse', 0),
      })[0],
    null,
  ],
  channels: (node) => {
    const [x, at] = node.inputs;
    const [y] = node.outputs;
    if (!at?.known) return pinAll(node, 'the axis of CumSum is computed from data');
    const axis = front(ints(at.known.tensor)[0], x!.shape.length);
    const why = 'CumSum adds up the channels of this axis';
    return {
      links: x!.shape
        .map((_, a) => ({ from: { value: x!, axis: a }, to: { value: y, axis: a }, constants: 'zero' as const }))
        .filter((_, a) => a !== axis),
      pins: [x!, y].map((value) => ({ at: { value, axis }, why })),
    };
  },
  examples: [
    { title: 'forwards', inputs: [[2, 4], int64([], [1])], parameters: [1] },
    {
      title: 'backwards without the own element',
      inputs: [[3, 2], int64([], [0])],
      parameters: [1],
      attributes: { exclusive: 1, reverse: 1 },
    },
  ],
});
