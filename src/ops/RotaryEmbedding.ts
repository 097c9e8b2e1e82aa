import { Attributes } from '../onnx/attributes.js';
import { int64 } from '../tensor/tensor.js';
import { Formula, spelledOut } from './formula.js';
import { rotation, spellRotation } from './rotary.js';
import { defineOp } from './spec.js';

/** Rotates pairs of channels in every head by angles that grow with the position. */
export const RotaryEmbedding = defineOp({
  op: 'RotaryEmbedding',
  since: 23,
  inputs: ['X', 'cos_cache', 'sin_cache', 'position_ids?'],
  outputs: ['Y'],
  grad: spelledOut,
  normalise: (node, context) => {
    const [x, cosTable, sinTable, positions = ''] = node.input;
    const shape = context.shape(x);
    if (!shape) return undefined;
    const attrs = new Attributes(node);
    const inRows = shape.length === 3;
    const heads = inRows ? attrs.int('num_heads', 1) : shape[1];
    const size = inRows ? shape[2] / heads : shape[3];
    const rotated = attrs.int('rotary_embedding_dim', 0) || size;
    const formula = new Formula(node, context);
    const [cos, sin] = [cosTable, sinTable].map((table) =>
      positions === '' ? table : formula.apply('Gather', [table, positions], { axis: 0 }),
    );
    const interleaved = attrs.int('interleaved', 0) !== 0;
    spellRotation(formula, { x, output: node.output[0], inRows, heads, size, rotated, interleaved, cos, sin });
    return formula.nodes;
  },
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
      title: 'a part of every head, tables per sample',
      inputs: [
        [2, 3, 12],
        [2, 3, 2],
        [2, 3, 2],
      ],
      attributes: { num_heads: 2, rotary_embedding_dim: 4 },
    },
    {
      title: 'an axis of heads',
      inputs: [[1, 2, 3, 4], [4, 2], [4, 2], int64([1, 3], [0, 1, 2])],
      parameters: [1, 2, 3],
      attributes: { interleaved: 1 },
    },
  ],
});
