import { float32, sizeOf } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { pinAll } from './links.js';
import { product } from './MatMul.js';
import { countedFromZeros, orPinned, wholeNumbers } from './quantised.js';
import { type ChannelNode, defineOp } from './spec.js';

/**
 * Y = (A − its zero point) · (B − its zero point) · their scales + bias, in floats.
 *
 * Source: com.microsoft MatMulIntegerToFloat 1.
 */
export const MatMulIntegerToFloat = defineOp({
  op: 'MatMulIntegerToFloat',
  domain: 'com.microsoft',
  inputs: ['A', 'B', 'a_scale', 'b_scale', 'a_zero_point?', 'b_zero_point?', 'bias?'],
  outputs: ['Y'],
  trains: [1, 6],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [a, b, aScale, bScale, aZero, bZero, bias] = node.inputs;
    if (!b!.known || (bias && !bias.known)) return pinAll(node, 'its second operand is computed');
    const plain: ChannelNode = { ...node, inputs: [a, b] };
    const { mixes = [], ...relation } = product(plain);
    return countedFromZeros(
      plain,
      { ...relation, mixes: mixes.map((m) => ({ ...m, ...(bias && { bias: { value: bias, axis: 0 } }) })) },
      { zeros: [aZero, bZero], perChannel: [bScale, bZero], aside: aScale!.known ? [] : [aScale!] },
    );
  }),
  macs: ({ inputs: [a], outputs: [y] }) => sizeOf(y.shape) * a!.shape[a!.shape.length - 1],
  examples: [
    {
      title: 'a scale per column, with bias',
      inputs: [
        quantised('uint8', [2, 3, 4]),
        quantised('int8', [4, 5]),
        float32([], [0.02]),
        float32([5], [0.01, 0.02, 0.01, 0.02, 0.03]),
        zeroPoint('uint8', 120),
        { dtype: 'int8', dims: [5], data: new Int8Array(5) },
        [5],
      ],
      parameters: [1, 2, 3, 4, 5, 6],
    },
    {
      title: 'one scale',
      inputs: [quantised('uint8', [3, 4]), quantised('uint8', [4, 2]), float32([], [0.02]), float32([], [0.01])],
      parameters: [1, 2, 3],
    },
  ],
});
