import { int32 } from '../tensor/tensor.js';
import { pinned } from './links.js';
import { defineOp, refused } from './spec.js';

/**
 * LayerNormalization(word + position + segment embedding) over the last axis.
 *
 * Source: com.microsoft EmbedLayerNormalization 1.
 */
export const EmbedLayerNormalization = defineOp({
  op: 'EmbedLayerNormalization',
  domain: 'com.microsoft',
  inputs: [
    'input_ids',
    'segment_ids?',
    'word_embedding',
    'position_embedding',
    'segment_embedding?',
    'gamma',
    'beta',
    'mask?',
    'position_ids?',
  ],
  outputs: ['output', 'mask_index?', 'embedding_sum?'],
  grad: refused('it is not spelt out in standard operators'),
  channels: pinned('every channel enters the statistics'),
  examples: [
    {
      title: 'words, positions and segments',
      inputs: [int32([2, 3], [0, 4, 2, 1, 3, 3]), int32([2, 3], [0, 0, 1, 0, 1, 1]), [5, 4], [6, 4], [2, 4], [4], [4]],
      parameters: [2, 3, 4, 5, 6],
      outputs: 2,
    },
  ],
});
