import type { GraphBuilder, Value } from '../onnx/builder.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { axisOf, pinAll, pinsOf } from './links.js';
import { flattened } from './scatter.js';
import { defineOp, type Link } from './spec.js';

/**
 * Y is zero, but X where the indices (through the whole of Y) say: dX reads dY there. Where windows overlapped, several
 * elements name one place, and the last of them in row-major order has it.
 */
export const MaxUnpool = defineOp({
  op: 'MaxUnpool',
  since: 9,
  inputs: ['X', 'I', 'output_shape?'],
  outputs: ['output'],
  grad: (g, { inputs: [x, indices, ...rest], attrs }, [dy]) => [
    () => {
      const at = flattened(g, indices);
      const picked = g.emit('Gather', [flattened(g, dy!), at], [{ dtype: x.dtype, shape: at.shape }])[0];
      const kernel = attrs.ints('kernel_shape') ?? [];
      const strides = attrs.ints('strides') ?? kernel.map(() => 1);
      const apart = kernel.every((size, i) => size <= strides[i]);
      return g.reshape(apart ? picked : g.where(isLast(g, at, sizeOf(dy!.shape)), picked, 0), x.shape);
    },
    null,
    ...rest.map(() => null),
  ],
  channels: (node) => {
    const [x, indices, shape] = node.inputs;
    const [y] = node.outputs;
    // A MaxPool that is cut alike counts anew; numbers from elsewhere would still mean the old places.
    if (indices!.known) return pinAll(node, 'the indices of MaxUnpool are constants');
    if (shape) return pinAll(node, 'MaxUnpool is told the size of its output');
    const why = 'MaxUnpool spreads this axis over another size';
    return {
      links: [0, 1].flatMap((a): Link[] => [
        { from: axisOf(x!, a), to: axisOf(y, a), constants: 'zero' },
        { from: axisOf(indices!, a), to: axisOf(y, a), constants: 'zero' },
      ]),
      pins: [x!, indices!, y].flatMap((value) => pinsOf(value, why).slice(2)),
    };
  },
  examples: [
    {
      title: 'windows side by side, constant indices',
      inputs: [[1, 2, 2, 2], int64([1, 2, 2, 2], [1, 3, 8, 10, 17, 18, 29, 31])],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
      parameters: [1],
    },
    {
      title: 'overlapping windows, a given size',
      inputs: [[1, 1, 2, 2], int64([1, 1, 2, 2], [6, 6, 6, 12]), int64([4], [1, 1, 4, 5])],
      attributes: { kernel_shape: [3, 3] },
      parameters: [1, 2],
    },
  ],
});

/** @returns for each of some elements whether it is the last one that is written to its place. */
function isLast(g: GraphBuilder, at: Value, size: number): Value {
  const count = at.shape[0];
  const numbers = g.constant(
    int64(
      [count],
      Array.from({ length: count }, (_, i) => i),
    ),
    'numbers',
  );
  const none = g.expand(g.scalar(0, 'int64'), [size]);
  const like = (shape: readonly number[]) => [{ dtype: 'int64' as const, shape }];
  const written = g.emit('ScatterElements', [none, at, numbers], like([size]), { reduction: 'max' })[0];
  return g.equal(g.emit('Gather', [written, at], like([count]))[0], numbers);
}
