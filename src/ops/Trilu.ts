import { int64 } from '../tensor/tensor.js';
import { pinsOf, straight } from './links.js';
import { defineOp } from './spec.js';

/** Keeps one triangle of every matrix; the rest becomes zero. Its adjoint does the same to dY. */
export const Trilu = defineOp({
  op: 'Trilu',
  since: 14,
  inputs: ['input', 'k?'],
  outputs: ['output'],
  grad: (g, { inputs: [, ...k], attrs }, [dy]) => [
    () => g.emit('Trilu', [dy!, ...k], [{ dtype: dy!.dtype, shape: dy!.shape }], { upper: attrs.int('upper', 1) })[0],
    ...k.map(() => null),
  ],
  channels: ({ inputs: [x], outputs: [y] }) => {
    const matrix = x!.shape.length - 2;
    const why = 'Trilu counts rows and columns from the diagonal';
    return {
      links: straight(x!, y, 'zero').slice(0, matrix),
      pins: [x!, y].flatMap((value) => pinsOf(value, why).slice(matrix)),
    };
  },
  examples: [
    { title: 'the upper triangle', inputs: [[2, 3, 4]] },
    {
      title: 'the lower triangle, above the diagonal',
      inputs: [[2, 3, 4, 4], int64([], [1])],
      parameters: [1],
      attributes: { upper: 0 },
    },
  ],
});
