import { CgesError } from '../errors.js';
import type { Attributes } from '../onnx/attributes.js';
import type { GraphBuilder, Value } from '../onnx/builder.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { axisOf, pinsOf } from './links.js';
import { defineOp } from './spec.js';

/** Adds up overlapping blocks [N, C·taps, L] to an image: its adjoint takes the blocks out of dY again. */
export const Col2Im = defineOp({
  op: 'Col2Im',
  since: 18,
  inputs: ['input', 'image_shape', 'block_shape'],
  outputs: ['output'],
  grad: (g, { name, inputs: [x, , block], attrs }, [dy]) => [
    () => {
      const kernel = block.constant && Array.from(block.constant.data as BigInt64Array, Number);
      if (!kernel) {
        const what = `Col2Im ${name} has no gradient: the size of its blocks is computed`;
        throw new CgesError('NO_GRADIENT', what, { node: name, op: 'Col2Im' });
      }
      return blocksOf(g, dy!, x.shape, kernel, attrs);
    },
    null,
    null,
  ],
  channels: ({ inputs: [x, image, block], outputs: [y] }) => {
    const taps = x!.shape[1] / y.shape[1];
    const why = 'Col2Im lays these out over an image';
    const map = Int32Array.from({ length: x!.shape[1] }, (_, i) => Math.floor(i / taps));
    return {
      links: [
        { from: axisOf(x!, 0), to: axisOf(y, 0), constants: 'zero' },
        { from: axisOf(y, 1), to: axisOf(x!, 1), map, constants: 'zero' },
      ],
      pins: [
        { at: axisOf(x!, 2), why },
        ...pinsOf(y, why).slice(2),
        ...[image!, block!].flatMap((value) => pinsOf(value, why)),
      ],
    };
  },
  examples: [
    {
      title: 'overlapping, padded',
      inputs: [[2, 12, 9], int64([2], [4, 4]), int64([2], [2, 2])],
      parameters: [1, 2],
      attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
    },
    {
      title: 'dilated',
      inputs: [[1, 8, 12], int64([2], [5, 5]), int64([2], [2, 2])],
      parameters: [1, 2],
      attributes: { dilations: [1, 2] },
    },
  ],
});

function blocksOf(
  g: GraphBuilder,
  dy: Value,
  shape: readonly number[],
  kernel: readonly number[],
  attrs: Attributes,
): Value {
  const rank = kernel.length;
  const pads = attrs.ints('pads') ?? new Array<number>(2 * rank).fill(0);
  const strides = attrs.ints('strides') ?? kernel.map(() => 1);
  const dilations = attrs.ints('dilations') ?? kernel.map(() => 1);
  const wide = g.pad(dy, [0, 0, ...pads.slice(0, rank), 0, 0, ...pads.slice(rank)]);
  const axes = kernel.map((_, i) => i + 2);
  const counts = axes.map((a, i) => Math.floor((wide.shape[a] - (kernel[i] - 1) * dilations[i] - 1) / strides[i]) + 1);
  const [n, c] = dy.shape;
  const taps = Array.from({ length: sizeOf(kernel) }, (_, tap) => {
    let rest = tap;
    const starts = kernel.map(() => 0);
    for (let i = rank - 1; i >= 0; i--) {
      starts[i] = (rest % kernel[i]) * dilations[i];
      rest = Math.floor(rest / kernel[i]);
    }
    const ends = starts.map((s, i) => s + (counts[i] - 1) * strides[i] + 1);
    return g.reshape(g.slice(wide, axes, starts, ends, strides), [n, c, 1, sizeOf(counts)]);
  });
  return g.reshape(g.concat(taps, 2), shape);
}
