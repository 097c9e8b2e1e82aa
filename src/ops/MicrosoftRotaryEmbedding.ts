import { Attributes } from '../onnx/attributes.js';
import { int64 } from '../tensor/tensor.js';
import { Formula } from './formula.js';
import { pinAll } from './links.js';
import { rotation, spellRotation } from './rotary.js';
import { defineOp, refused } from './spec.js';

/**
 * Rotates pairs of channels in every head by angles that grow with the position.
 *
 * Source: com.microsoft RotaryEmbedding 1.
 */
export const MicrosoftRotaryEmbedding = defineOp({
  op: 'RotaryEmbedding',
  domain: 'com.microsoft',
  inputs: ['input', 'position_ids', 'cos_cache', 'sin_cache'],
  outputs: ['output'],
  grad: refused('packed samples are not spelt out'),
  normalise: (node, context) => {
    const [x, positions, ...tables] = node.input;
    const [shape, places, table] = [x, positions, tables[0]].map((name) => context.shape(name));
    const attrs = new Attributes(node);
    // A single position is where the first one stands.
    if (!shape || !table || places?.length !== 2 || attrs.int('is_packed_batching', 0) !== 0) return undefined;
    const inRows = shape.length === 3;
    const part = attrs.int('rotary_embedding_dim', 0);
    const rotated = part || 2 * table[1];
    const inRowsOf = part > 0 ? shape[2] / attrs.int('num_heads', 1) : rotated;
    const size = inRows ? inRowsOf : shape[3];
    const formula = new Formula(node, context);
    const [cos, sin] = tables.map((name) => formula.apply('Gather', [name, positions], { axis: 0 }));
    const heads = inRows ? shape[2] / size : shape[1];
    const interleaved = attrs.int('interleaved', 0) !== 0;
    spellRotation(formula, { x, output: node.output[0], inRows, heads, size, rotated, interleaved, cos, sin });
    return formula.nodes;
  },
  channels: (node) => {
    const [x, positions, cos, sin] = node.inputs;
    const { attrs } = node;
    if (attrs.int('is_packed_batching', 0) !== 0) return pinAll(node, 'its samples are packed');
    const width = x!.shape.length === 3 ? x!.shape[2] : x!.shape[3];
    const partial = attrs.int('rotary_embedding_dim', 0) > 0;
    const size = partial && x!.shape.length === 3 ? width / attrs.int('num_heads', 1) : 2 * cos!.shape[1];
    return rotation(node, [positions!, cos!, sin!], size);
  },
  examples: [
    {
      title: 'heads in rows',
      inputs: [[1, 3, 8], int64([1, 3], [0, 1, 2]), [4, 2], [4, 2]],
      parameters: [1, 2, 3],
    },
    {
      title: 'heads in rows, a part of each',
      inputs: [[1, 3, 12], int64([1, 3], [0, 1, 2]), [4, 2], [4, 2]],
      parameters: [1, 2, 3],
      attributes: { num_heads: 2, rotary_embedding_dim: 4, interleaved: 1 },
    },
    {
      title: 'an axis of heads',
      inputs: [[1, 2, 3, 4], int64([1, 3], [0, 1, 2]), [4, 2], [4, 2]],
      parameters: [1, 2, 3],
    },
  ],
});
