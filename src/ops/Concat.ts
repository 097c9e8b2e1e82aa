import { front } from './knownInts.js';
import { type ChannelRule, defineOp, type Link } from './spec.js';

/** Along `axis` every operand has indices of its own; along the others all have the same ones. */
const channels: ChannelRule = ({ inputs, outputs: [y], attrs }) => {
  const axis = front(attrs.int('axis', 1), y.shape.length);
  const operands = inputs.filter((x) => x !== undefined);
  let offset = 0;
  const links = operands.flatMap((x) => {
    const begin = offset;
    offset += x.shape[axis];
    return x.shape.map((size, a): Link => {
      const ends = { from: { value: x, axis: a }, to: { value: y, axis: a } };
      // Parts that hold different constants make no constant together; only zero is surely the same in all.
      if (a !== axis) return { ...ends, constants: operands.length === 1 ? 'same' : 'zero' };
      const map = Int32Array.from({ length: y.shape[axis] }, (_, j) =>
        j < begin || j >= begin + size ? -1 : j - begin,
      );
      return { ...ends, map, constants: 'same' };
    });
  });
  return { links };
};

export const Concat = defineOp({
  op: 'Concat',
  inputs: ['inputs...'],
  outputs: ['concat_result'],
  grad: (g, { inputs, outputs: [y], attrs }, [dy]) => {
    const axis = front(attrs.int('axis', 1), y.shape.length);
    let offset = 0;
    return inputs.map((x) => {
      const begin = offset;
      offset += x.shape[axis];
      return () => g.slice(dy!, [axis], [begin], [begin + x.shape[axis]]);
    });
  },
  channels,
  examples: [
    {
      title: 'channels',
      inputs: [
        [2, 3, 2],
        [2, 1, 2],
        [2, 2, 2],
      ],
      attributes: { axis: 1 },
    },
    {
      title: 'a negative axis',
      inputs: [
        [2, 3],
        [2, 4],
      ],
      attributes: { axis: -1 },
    },
    {
      title: 'positions',
      inputs: [
        [1, 3, 2],
        [2, 3, 2],
      ],
      attributes: { axis: 0 },
    },
    { title: 'one operand', inputs: [[2, 3]], attributes: { axis: 1 } },
  ],
});
