import { float32, int64 } from '../tensor/tensor.js';
import { noGradient, pinAll } from './links.js';
import { defineOp } from './spec.js';

export const NonMaxSuppression = defineOp({
  op: 'NonMaxSuppression',
  since: 10,
  inputs: ['boxes', 'scores', 'max_output_boxes_per_class?', 'iou_threshold?', 'score_threshold?'],
  outputs: ['selected_indices'],
  grad: noGradient,
  channels: (node) => pinAll(node, 'NonMaxSuppression tells which boxes and classes it selects by number'),
  examples: [
    {
      title: 'boxes of two classes',
      inputs: [float32([1, 2, 4], [0, 0, 1, 1, 2, 2, 3, 3]), [1, 2, 2], int64([1], [2])],
    },
  ],
});
