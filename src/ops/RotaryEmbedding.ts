import { int64 } from '../tensor/tensor.js';
import { rotation } from './rotary.js';
import { defineOp, refused } from './spec.js';

/** Rotates pairs of channels in every head by angles that grow with the position. */
export const RotaryEmbedding = defineOp({
  op: 'RotaryEmbedding',
  since: 23,
  inputs: ['X', 'cos_cache', 'sin_cache', 'position_ids?'],
  outputs: ['Y'],
  grad: refused('it is not spelt out in standard operators'),
  channels: (node) => {
    const [x, ...tables] = node.inputs;
    const inRows = x!.shape.length === 3;
    const size = inRows ? x!.shape[2] / node.attrs.int('num_heads', 1) : x!.shape[3];
    return rotation(
      node,
      tables.filter((t) => t !== undefined),
      size,
    );
  },
  examples: [
    {
      title: 'heads in rows',
      inputs: [[1, 3, 8], [4, 2], [4, 2], int64([1, 3], [0, 1, 2])],
      parameters: [1, 2, 3],
      attributes: { num_heads: 2 },
    },
    {
      title: 'an axis of heads',
      inputs: [[1, 2, 3, 4], [4, 2], [4, 2], int64([1, 3], [0, 1, 2])],
      parameters: [1, 2, 3],
      attributes: { interleaved: 1 },
    },
  ],
});
