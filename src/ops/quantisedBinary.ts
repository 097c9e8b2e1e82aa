import { float32 } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { quantised, zeroPoint } from './examples.js';
import { inputZeroOf, numberOf, wholeNumbers } from './quantised.js';
import type { Example, OpSpec } from './spec.js';

/** @returns the spec of an elementwise operator [A, scale, zero, B, scale, zero, C scale, C zero] on quantised operands. */
export function quantisedBinary(op: string, combine: 'all' | 'product'): OpSpec {
  return {
    op,
    domain: 'com.microsoft',
    inputs: ['A', 'A_scale', 'A_zero_point?', 'B', 'B_scale', 'B_zero_point?', 'C_scale', 'C_zero_point?'],
    outputs: ['C'],
    grad: wholeNumbers,
    channels: (node) => {
      const [a, , aZero, b, , bZero] = node.inputs;
      const zeros = new Map([
        [a!.name, inputZeroOf(aZero)],
        [b!.name, inputZeroOf(bZero)],
      ]);
      // A factor is only known to be zero where its zero point is.
      const known = [...zeros.values()].every((z) => z !== undefined);
      const relation = broadcasting({ ...node, inputs: [a, b] }, { combine: known ? combine : 'all' });
      return {
        ...relation,
        links: relation.links?.map((link) => ({ ...link, zero: zeros.get(link.from.value.name) })),
        zeroPoints: [
          { of: a!, value: aZero },
          { of: b!, value: bZero },
        ].flatMap(({ of, value }) =>
          of.known && numberOf(value) !== undefined ? [{ of, zero: { value: value! } }] : [],
        ),
      };
    },
    examples: [
      example('equal shapes', [2, 3, 4], [2, 3, 4]),
      example('a constant per channel', [2, 3, 2, 2], [3, 1, 1], [3]),
      example('a gate per channel', [2, 3, 2, 2], [2, 3, 1, 1]),
    ],
  };
}

function example(title: string, a: readonly number[], b: readonly number[], parameters: number[] = []): Example {
  const inputs = [
    quantised('uint8', a),
    float32([], [0.02]),
    zeroPoint('uint8', 120),
    quantised('uint8', b),
    float32([], [0.01]),
    zeroPoint('uint8', 130),
    float32([], [0.03]),
    zeroPoint('uint8', 100),
  ];
  return { title, inputs, parameters: [1, 2, 4, 5, 6, 7, ...parameters] };
}
