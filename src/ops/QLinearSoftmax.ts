import { quantisedExample, quantisedUnary } from './quantisedUnary.js';
import { softmaxChannels } from './softmaxAxis.js';

/**
 * Softmax of quantised numbers, by the rules of the opset that an attribute names.
 *
 * Source: com.microsoft QLinearSoftmax 1.
 */
export const QLinearSoftmax = quantisedUnary(
  'QLinearSoftmax',
  (node) => softmaxChannels({ ...node, opset: node.attrs.int('opset', 13) }),
  [
    quantisedExample('over the last axis', [2, 3, 4], { axis: -1, opset: 13 }),
    quantisedExample('over all but the first, old form', [2, 3, 4], { axis: 1, opset: 11 }),
  ],
);
