import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { gemmMacs, generalProduct } from './Gemm.js';
import { addWholeBias, countedFromZeros, orPinned, singles, wholeNumbers } from './quantised.js';
import { type ChannelNode, defineOp, type Example } from './spec.js';

/**
 * Y = α A'·B' + C of quantised matrices; C counts the quanta of the products. Without a scale of its own Y is floats.
 *
 * Source: com.microsoft QGemm 1.
 */
export const QGemm = defineOp({
  op: 'QGemm',
  domain: 'com.microsoft',
  inputs: ['A', 'a_scale', 'a_zero_point', 'B', 'b_scale', 'b_zero_point', 'C?', 'y_scale?', 'y_zero_point?'],
  outputs: ['Y'],
  trains: [3, 6],
  grad: wholeNumbers,
  channels: orPinned((node) => {
    const [a, aScale, aZero, b, bScale, bZero, c, yScale, yZero] = node.inputs;
    singles(aScale, aZero, yScale, yZero);
    const plain: ChannelNode = { ...node, inputs: [a, b, c] };
    const relation = generalProduct(plain);
    const biased = c === undefined || relation.mixes?.[0]?.bias?.value === c;
    return countedFromZeros(plain, relation, {
      zeros: [aZero, bZero],
      perChannel: a!.known ? [aScale, aZero] : [bScale, bZero],
      ...(biased && { addBias: (cut, delta) => addWholeBias(cut, 6, delta) }),
    });
  }),
  macs: (node) => gemmMacs({ ...node, inputs: [node.inputs[0], node.inputs[3]] }),
  examples: [
    example('transB, with bias, quantised', [5, 4], { transB: 1 }, true),
    example('plain, to floats', [4, 5], {}, false),
  ],
});

function example(title: string, b: readonly number[], attributes: Example['attributes'], rounded: boolean): Example {
  const inputs = [
    quantised('uint8', [3, 4]),
    float32([], [0.02]),
    zeroPoint('uint8', 120),
    quantised('int8', b),
    float32([5], [0.01, 0.02, 0.01, 0.02, 0.03]),
    { dtype: 'int8', dims: [5], data: new Int8Array(5) } as const,
    quantised('int32', [5], 200),
    ...(rounded ? [float32([], [0.05]), zeroPoint('uint8', 128)] : []),
  ];
  return { title, inputs, attributes, parameters: [1, 2, 3, 4, 5, 6, 7, 8] };
}
