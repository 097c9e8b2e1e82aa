import { noGradient } from './links.js';
import { cutShape, resizeOutput } from './sizes.js';
import { defineOp } from './spec.js';

/**
 * Shape reads how many channels there are, not what they hold. In a cut graph it goes on telling the old numbers, by what
 * stands behind it: whoever computes with them (a scale by √channels) computes the same, whoever shapes by them is patched.
 */
export const Shape = defineOp({
  op: 'Shape',
  inputs: ['data'],
  outputs: ['shape'],
  grad: noGradient,
  channels: ({ inputs: [x], attrs }) => {
    const rank = x!.shape.length;
    const begin = bounded(attrs.int('start', 0), rank);
    const end = bounded(attrs.int('end', rank), rank);
    return {
      free: x!.shape.map((_, axis) => ({ value: x!, axis })),
      patch: (cut) => {
        const now = cutShape(cut, x!);
        resizeOutput(cut, 0, x!.shape.map((size, axis) => size - now[axis]).slice(begin, end));
      },
    };
  },
  examples: [
    { title: 'all axes', inputs: [[2, 3, 4]] },
    { title: 'some axes', inputs: [[2, 3, 4]], attributes: { start: 1, end: -1 }, opset: 15 },
  ],
});

function bounded(axis: number, rank: number): number {
  return Math.min(Math.max(axis < 0 ? axis + rank : axis, 0), rank);
}
