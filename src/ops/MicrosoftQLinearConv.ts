import { QLinearConv } from './QLinearConv.js';
import { quantisedConvExample } from './quantisedConvolution.js';
import { defineOp } from './spec.js';

/**
 * QLinearConv, which onnxruntime's optimiser gives the channels as the last axis.
 *
 * Source: com.microsoft QLinearConv 1.
 */
export const MicrosoftQLinearConv = defineOp({
  ...QLinearConv,
  domain: 'com.microsoft',
  since: 1,
  examples: [
    quantisedConvExample('channels last', [1, 5, 5, 3], [4, 3, 3, 3], { pads: [1, 1, 1, 1], channels_last: 1 }, 4),
    quantisedConvExample('channels last, depthwise', [1, 5, 5, 3], [3, 1, 3, 3], { group: 3, channels_last: 1 }, 1),
    quantisedConvExample('channels first', [1, 3, 5, 5], [4, 3, 3, 3], { channels_last: 0 }, 1),
  ],
});
