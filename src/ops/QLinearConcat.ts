import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';
import { front } from './knownInts.js';
import { inputZeroOf, wholeNumbers } from './quantised.js';
import { type ChannelRule, defineOp, type Link } from './spec.js';

/** As Concat's; every operand is brought to the scale of the output. */
const channels: ChannelRule = ({ inputs, outputs: [y], attrs }) => {
  const axis = front(attrs.int('axis', 1), y.shape.length);
  const parts = inputs.slice(2);
  let offset = 0;
  const links: Link[] = [];
  for (let i = 0; i < parts.length; i += 3) {
    const value = parts[i]!;
    const zero = inputZeroOf(parts[i + 2]);
    const begin = offset;
    offset += value.shape[axis];
    const end = begin + value.shape[axis];
    const map = Int32Array.from({ length: y.shape[axis] }, (_, j) => (j < begin || j >= end ? -1 : j - begin));
    value.shape.forEach((_, a) => {
      const ends = { from: { value, axis: a }, to: { value: y, axis: a } };
      if (a === axis) links.push({ ...ends, map, constants: 'same' });
      else links.push({ ...ends, constants: zero === undefined ? 'never' : 'zero', zero });
    });
  }
  return { links };
};

/** Source: com.microsoft QLinearConcat 1. */
export const QLinearConcat = defineOp({
  op: 'QLinearConcat',
  domain: 'com.microsoft',
  inputs: ['Y_scale', 'Y_zero_point', 'inputs...'],
  outputs: ['Y'],
  grad: wholeNumbers,
  channels,
  examples: [
    {
      title: 'channels of two scales',
      inputs: [
        float32([], [0.03]),
        zeroPoint('uint8', 100),
        quantised('uint8', [2, 3, 2]),
        float32([], [0.02]),
        zeroPoint('uint8', 120),
        quantised('uint8', [2, 2, 2]),
        float32([], [0.01]),
        zeroPoint('uint8', 130),
      ],
      parameters: [0, 1, 3, 4, 6, 7],
      attributes: { axis: 1 },
    },
  ],
});
