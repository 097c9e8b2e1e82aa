import { float32, sizeOf } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { axisOf, pinAll } from './links.js';
import { product } from './MatMul.js';
import { countedFromZeros, orPinned, wholeNumbers } from './quantised.js';
import { type ChannelNode, defineOp } from './spec.js';

/**
 * Y = A · B + bias, with A quantised by the range of all its elements: what holds anything but zeros may be its end.
 *
 * Source: com.microsoft DynamicQuantizeMatMul 1.
 */
export const DynamicQuantizeMatMul = defineOp({
  op: 'DynamicQuantizeMatMul',
  domain: 'com.microsoft',
  inputs: ['A', 'B', 'b_scale', 'b_zero_point?', 'bias?'],
  outputs: ['Y'],
  trains: [1, 4],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [a, b, scale, zero, bias] = node.inputs;
    if (a!.known || !b!.known || (bias && !bias.known)) return pinAll(node, 'its second operand is computed');
    const plain: ChannelNode = { ...node, inputs: [a, b] };
    const { mixes = [], ...rest } = product(plain);
    const relation = countedFromZeros(
      plain,
      {
        ...rest,
        mixes: mixes.map((m) => ({ ...m, border: true, ...(bias && { bias: { value: bias, axis: 0 } }) })),
      },
      { zeros: [undefined, zero], perChannel: [scale, zero] },
    );
    return {
      ...relation,
      contractions: a!.shape.map((_, axis) => ({ a: axisOf(a!, axis), b: axisOf(a!, axis) })),
    };
  }),
  macs: ({ inputs: [a], outputs: [y] }) => sizeOf(y.shape) * a!.shape[a!.shape.length - 1],
  examples: [
    {
      title: 'a scale per column, with bias',
      inputs: [
        [2, 3, 4],
        quantised('int8', [4, 5]),
        float32([5], [0.01, 0.02, 0.01, 0.02, 0.03]),
        { dtype: 'int8', dims: [5], data: new Int8Array(5) },
        [5],
      ],
      parameters: [1, 2, 3, 4],
    },
    {
      title: 'one scale',
      inputs: [[3, 4], quantised('uint8', [4, 2]), float32([], [0.01]), zeroPoint('uint8', 120)],
      parameters: [1, 2, 3],
    },
  ],
});
