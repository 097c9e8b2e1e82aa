import { defineOp } from './spec.js';

export const Transpose = defineOp({
  op: 'Transpose',
  inputs: ['data'],
  outputs: ['transposed'],
  grad: (g, { inputs: [x], attrs }, [dy]) => {
    const perm = permutation(attrs.ints('perm'), x.shape.length);
    return [
      () =>
        g.transpose(
          dy!,
          perm.map((_, axis) => perm.indexOf(axis)),
        ),
    ];
  },
  channels: ({ inputs: [x], outputs: [y], attrs }) => ({
    links: permutation(attrs.ints('perm'), x!.shape.length).map((from, to) => ({
      from: { value: x!, axis: from },
      to: { value: y, axis: to },
      constants: 'same',
    })),
  }),
  examples: [
    { title: 'reversed axes by default', inputs: [[2, 3, 4]] },
    { title: 'channels last', inputs: [[2, 3, 4, 5]], attributes: { perm: [0, 2, 3, 1] } },
  ],
});

function permutation(perm: readonly number[] | undefined, rank: number): readonly number[] {
  return perm ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
}
