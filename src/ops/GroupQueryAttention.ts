import { int32 } from '../tensor/tensor.js';
import { pinned } from './links.js';
import { defineOp, refused } from './spec.js';

/**
 * Attention of a decoder, whose keys and values are appended to a cache.
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
  channels: pinned('its cache holds every head'),
  examples: [
    {
      title: 'two heads of queries to one of keys',
      inputs: [[1, 3, 32], [1, 3, 16], [1, 3, 16], null, null, int32([1], [2]), int32([], [3])],
      parameters: [5, 6],
      attributes: { num_heads: 4, kv_num_heads: 2 },
      outputs: 3,
    },
  ],
});
