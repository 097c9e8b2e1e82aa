import { pinsOf, straight } from './links.js';
import { defineOp, refused } from './spec.js';

export const Det = defineOp({
  op: 'Det',
  since: 11,
  inputs: ['X'],
  outputs: ['Y'],
  grad: refused('it needs the inverse of a matrix: ONNX has no such operator'),
  channels: ({ inputs: [x], outputs: [y] }) => {
    const batch = y.shape.length;
    return {
      links: straight(y, y, 'zero').map(({ to }) => ({ from: { value: x!, axis: to.axis }, to, constants: 'zero' })),
      pins: pinsOf(x!, 'every row and column enters the determinant').slice(batch),
    };
  },
  examples: [{ title: 'of several matrices', inputs: [[2, 3, 3]] }],
});
