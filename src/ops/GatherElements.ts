import { int64 } from '../tensor/tensor.js';
import { front } from './knownInts.js';
import { axisOf, pinsOf } from './links.js';
import { selectAlong } from './selectAlong.js';
import { zerosLike } from './scatter.js';
import { defineOp, type Link } from './spec.js';

/**
 * Y[i,j,k] = X[indices[i,j,k],j,k] for axis 0. Along the other axes indices are copied one by one, as far as `indices`
 * reaches; it is not cut itself, for what it holds counts along `axis`.
 */
export const GatherElements = defineOp({
  op: 'GatherElements',
  since: 11,
  inputs: ['data', 'indices'],
  outputs: ['output'],
  grad: (g, { inputs: [x, indices], attrs }, [dy]) => [
    () =>
      g.emit('ScatterElements', [zerosLike(g, x), indices, dy!], [{ dtype: x.dtype, shape: x.shape }], {
        axis: attrs.int('axis', 0),
        reduction: 'add',
      })[0],
    null,
  ],
  channels: ({ inputs: [x, indices], outputs: [y], attrs }) => {
    const axis = front(attrs.int('axis', 0), x!.shape.length);
    const others = x!.shape.flatMap((_, a) => (a === axis ? [] : [a]));
    const why = 'GatherElements picks elements of this axis by number';
    return {
      links: others.map((a): Link => ({
        from: axisOf(x!, a),
        to: axisOf(y, a),
        constants: 'same',
        ...(x!.shape[a] !== y.shape[a] && { map: Int32Array.from({ length: y.shape[a] }, (_, j) => j) }),
      })),
      pins: [...[x!, y].map((value) => ({ at: { value, axis }, why })), ...pinsOf(indices!, why)],
      patch: (cut) => {
        const kept = y.shape.map((_, a) => cut.kept(axisOf(y, a)));
        selectAlong(cut, 1, kept);
      },
    };
  },
  examples: [
    {
      title: 'positions of every channel',
      inputs: [[2, 3, 4], int64([2, 3, 2], [0, 3, 1, 1, 2, 0, 3, 3, 2, 1, 0, 2])],
      parameters: [1],
      attributes: { axis: 2 },
    },
    {
      title: 'computed indices, a negative axis, negative indices',
      inputs: [[2, 3, 4], int64([2, 1, 4], [0, -1, 1, 2, 2, 1, 0, 0])],
      attributes: { axis: -2 },
    },
    { title: 'some of the others', inputs: [[3, 4], int64([2, 3], [0, 2, 1, 1, 0, 2])], parameters: [1] },
  ],
});
