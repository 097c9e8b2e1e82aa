import { float32, sizeOf } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { product } from './MatMul.js';
import { countedFromZeros, orPinned, singles, wholeNumbers } from './quantised.js';
import { type ChannelNode, defineOp } from './spec.js';

export const QLinearMatMul = defineOp({
  op: 'QLinearMatMul',
  since: 10,
  inputs: ['a', 'a_scale', 'a_zero_point', 'b', 'b_scale', 'b_zero_point', 'y_scale', 'y_zero_point'],
  outputs: ['y'],
  trains: [0, 3],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [a, aScale, aZero, b, bScale, bZero, yScale, yZero] = node.inputs;
    const onLeft = a!.known !== undefined;
    const [inputs, weights] = [
      [aScale, aZero],
      [bScale, bZero],
    ];
    const computed = !onLeft && !b!.known;
    singles(yScale, yZero, ...(onLeft ? weights : inputs), ...(computed ? weights : []));
    const plain: ChannelNode = { ...node, inputs: [a, b] };
    return countedFromZeros(plain, product(plain), {
      zeros: [aZero, bZero],
      perChannel: onLeft ? inputs : weights,
    });
  }),
  macs: ({ inputs: [a], outputs: [y] }) => sizeOf(y.shape) * a!.shape[a!.shape.length - 1],
  examples: [
    {
      title: 'a scale per column',
      inputs: [
        quantised('uint8', [2, 3, 4]),
        float32([], [0.02]),
        zeroPoint('uint8', 120),
        quantised('int8', [4, 5]),
        float32([5], [0.01, 0.02, 0.01, 0.02, 0.03]),
        { dtype: 'int8', dims: [5], data: new Int8Array(5) },
        float32([], [0.05]),
        zeroPoint('uint8', 128),
      ],
      parameters: [1, 2, 3, 4, 5, 6, 7],
    },
    {
      title: 'two computed operands',
      inputs: [
        quantised('uint8', [2, 3, 4]),
        float32([], [0.02]),
        zeroPoint('uint8', 120),
        quantised('uint8', [2, 4, 3]),
        float32([], [0.01]),
        zeroPoint('uint8', 130),
        float32([], [0.05]),
        zeroPoint('uint8', 128),
      ],
      parameters: [1, 2, 4, 5, 6, 7],
    },
  ],
});
