import type { GraphBuilder, Value } from '../onnx/builder.js';
import { int64, sizeOf } from '../tensor/tensor.js';
import { addSlices } from './addSlices.js';
import { axisOf, pinsOf } from './links.js';
import { defineOp, type Link } from './spec.js';

/** Picks slices by coordinates: Y[i…] = X[i… of the batch, indices[i…]]. Axes behind those that the coordinates name are copied. */
export const GatherND = defineOp({
  op: 'GatherND',
  since: 11,
  inputs: ['data', 'indices'],
  outputs: ['output'],
  grad: (g, { inputs: [x, indices], attrs }, [dy]) => [
    () => {
      const at = withBatch(g, indices, attrs.int('batch_dims', 0));
      const [n, k] = [sizeOf(at.shape.slice(0, -1)), at.shape.at(-1)!];
      return addSlices(g, x.shape, g.reshape(at, [n, k]), g.reshape(dy!, [n, ...x.shape.slice(k)]));
    },
    null,
  ],
  channels: ({ inputs: [x, indices], outputs: [y], attrs }) => {
    const named = attrs.int('batch_dims', 0) + indices!.shape.at(-1)!;
    const lead = indices!.shape.length - 1;
    const why = 'GatherND picks from this axis by number';
    return {
      links: x!.shape.slice(named).map((_, i): Link => ({
        from: axisOf(x!, named + i),
        to: axisOf(y, lead + i),
        constants: 'same',
      })),
      pins: [...pinsOf(x!, why).slice(0, named), ...pinsOf(y, why).slice(0, lead), ...pinsOf(indices!, why)],
    };
  },
  examples: [
    { title: 'elements', inputs: [[3, 4], int64([3, 2], [0, 1, 2, 3, 0, 1])], parameters: [1] },
    { title: 'rows', inputs: [[3, 4, 2], int64([2, 2, 1], [0, 2, 2, -1])], parameters: [1] },
    {
      title: 'rows of every sample',
      inputs: [[2, 3, 4], int64([2, 2, 1], [0, 2, 1, 1])],
      attributes: { batch_dims: 1 },
      opset: 12,
    },
  ],
});

/** @returns the indices with the coordinates of the batch axes in front. */
function withBatch(g: GraphBuilder, indices: Value, batch: number): Value {
  if (batch === 0) return indices;
  const rows = indices.shape.slice(0, -1);
  const inner = sizeOf(rows.slice(batch));
  const dims = rows.slice(0, batch);
  const numbers = Array.from({ length: sizeOf(rows) }, (_, row) => {
    let rest = Math.floor(row / inner);
    const digits = dims.map(() => 0);
    for (let a = batch - 1; a >= 0; a--) {
      digits[a] = rest % dims[a];
      rest = Math.floor(rest / dims[a]);
    }
    return digits;
  });
  const coordinates = g.constant(int64([...rows, batch], numbers.flat()), 'batch');
  return g.concat([coordinates, indices], rows.length);
}
