import { sizeOf } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { product } from './MatMul.js';
import { addWholeBehind, countedFromZeros, orPinned, wholeNumbers } from './quantised.js';
import { type ChannelNode, defineOp } from './spec.js';

/** The sums of a product of quantised matrices, as int32. */
export const MatMulInteger = defineOp({
  op: 'MatMulInteger',
  since: 10,
  inputs: ['A', 'B', 'a_zero_point?', 'b_zero_point?'],
  outputs: ['Y'],
  trains: [0, 1],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [a, b, aZero, bZero] = node.inputs;
    const plain: ChannelNode = { ...node, inputs: [a, b] };
    const relation = product(plain);
    const axis = relation.mixes?.[0]?.output.axis ?? 0;
    return countedFromZeros(plain, relation, {
      zeros: [aZero, bZero],
      perChannel: [a!.known ? aZero : bZero].filter((z) => z?.known),
      addBias: (cut, delta) => addWholeBehind(cut, axis, delta),
    });
  }),
  macs: ({ inputs: [a], outputs: [y] }) => sizeOf(y.shape) * a!.shape[a!.shape.length - 1],
  examples: [
    {
      title: 'a weight, with zero points',
      inputs: [
        quantised('uint8', [2, 3, 4]),
        quantised('int8', [4, 5]),
        zeroPoint('uint8', 120),
        quantised('int8', [5], 10),
      ],
      parameters: [1, 2, 3],
    },
    {
      title: 'two computed operands',
      inputs: [quantised('uint8', [2, 3, 4]), quantised('uint8', [2, 4, 3]), zeroPoint('uint8', 120)],
      parameters: [2],
    },
  ],
});
