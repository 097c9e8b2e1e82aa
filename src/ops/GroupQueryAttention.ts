import { setAttribute } from '../onnx/attributes.js';
import { int32 } from '../tensor/tensor.js';
import { headAxis, positionPins, wholeBlocks } from './heads.js';
import { axisOf, pinAll } from './links.js';
import {
  type AxisRef,
  type ChannelNode,
  type ChannelRelation,
  type ChannelValue,
  defineOp,
  type Link,
  refused,
} from './spec.js';

/**
 * Attention of a decoder, whose keys and values are appended to a cache; several heads of queries share one of each.
 *
 * Source: com.microsoft GroupQueryAttention 1.
 */
export const GroupQueryAttention = defineOp({
  op: 'GroupQueryAttention',
  domain: 'com.microsoft',
  inputs: [
    'query',
    'key?',
    'value?',
    'past_key?',
    'past_value?',
    'seqlens_k',
    'total_sequence_length',
    'cos_cache?',
    'sin_cache?',
    'position_ids?',
    'attention_bias?',
    'head_sink?',
  ],
  outputs: ['output', 'present_key?', 'present_value?', 'output_qk?'],
  grad: refused('its cache has no gradient'),
  channels: (node) => {
    const scales = node.inputs.slice(12).some((x) => x !== undefined);
    return scales || node.outputs.length > 3
      ? pinAll(node, 'its cache is quantised, or its scores are shown')
      : groups(node);
  },
  examples: [
    {
      title: 'two heads of queries to one of keys',
      inputs: [[1, 3, 32], [1, 3, 16], [1, 3, 16], null, null, int32([1], [2]), int32([], [3])],
      parameters: [5, 6],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
    {
      title: 'packed, four heads of queries to two of keys',
      inputs: [[1, 3, 128], null, null, null, null, int32([1], [2]), int32([], [3])],
      parameters: [5, 6],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
    {
      title: 'behind a cache',
      inputs: [[1, 1, 32], [1, 1, 16], [1, 1, 16], [1, 2, 3, 8], [1, 2, 3, 8], int32([1], [3]), int32([], [4])],
      parameters: [5, 6],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
  ],
});

/** Heads of keys and values go whole, with the heads of queries that share them; caches hold an axis of them. */
function groups({ inputs, outputs, attrs }: ChannelNode): ChannelRelation {
  const [query, key, value, pastKey, pastValue, , , , , , scores, sinks] = inputs;
  const [y, ...present] = outputs;
  const [heads, blocks] = [attrs.int('num_heads', 1), attrs.int('kv_num_heads', 1)];
  const output = axisOf(y, 2);
  const size = y.shape[2] / heads;
  const queries = axisOf(query!, 2);
  // Packed operands follow each other in rows of one tensor.
  const [keyBegin, valueBegin] = key ? [0, 0] : [heads * size, (heads + blocks) * size];
  const [keys, values] = [key, value].map((x) => axisOf(x ?? query!, 2));
  const width = blocks * size;
  const wide = y.shape[2] / blocks;
  const own = Int32Array.from({ length: y.shape[2] }, (_, j) => valueBegin + Math.floor(j / wide) * size + (j % size));
  const shown = (from: AxisRef, begin: number, to: ChannelValue | undefined): Link[] =>
    to ? wholeBlocks(from, axisOf(to, 1), blocks, 'never', { offset: begin, size: width }) : [];
  const perHead = [...headAxis(scores, heads), ...(sinks ? [axisOf(sinks, 0)] : [])];
  return {
    combine: 'product',
    links: [
      ...wholeBlocks(queries, output, blocks, 'never', { size: heads * size }),
      ...wholeBlocks(keys, output, blocks, 'never', { offset: keyBegin, size: width }),
      // Behind a cache, values of zero leave what the cache gives.
      { from: values, to: output, map: own, constants: pastValue ? 'never' : 'zero' },
      ...perHead.flatMap((at) => wholeBlocks(at, output, blocks, 'never')),
      ...[pastKey, pastValue].flatMap((x) => (x ? wholeBlocks(axisOf(x, 1), output, blocks, 'never') : [])),
      ...shown(keys, keyBegin, present[0]),
      ...shown(values, valueBegin, present[1]),
    ],
    pins: positionPins([query!, ...[key, value].filter((x) => x !== undefined), y], { positions: 1, scores, heads }),
    patch: (cut) => {
      const kept = cut.kept(output);
      if (!kept) return;
      setAttribute(cut.node, 'num_heads', kept.length / size);
      setAttribute(cut.node, 'kv_num_heads', kept.length / wide);
    },
  };
}
