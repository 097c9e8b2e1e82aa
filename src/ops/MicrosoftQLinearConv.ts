import { convMacs } from './Conv.js';
import { convolving, quantisedConvExample, quantisedConvolution } from './quantisedConvolution.js';
import { wholeNumbers } from './quantised.js';
import { defineOp } from './spec.js';

/**
 * QLinearConv, which onnxruntime's optimiser gives the channels as the last axis.
 *
 * Source: com.microsoft QLinearConv 1.
 */
export const MicrosoftQLinearConv = defineOp({
  op: 'QLinearConv',
  domain: 'com.microsoft',
  inputs: ['x', 'x_scale', 'x_zero_point', 'w', 'w_scale', 'w_zero_point', 'y_scale', 'y_zero_point', 'B?'],
  outputs: ['y'],
  trains: [3, 8],
  grad: wholeNumbers,
  channels: quantisedConvolution,
  macs: (node) => convMacs(convolving(node, [node.inputs[0], node.inputs[3]])),
  examples: [
    quantisedConvExample('channels last', [1, 5, 5, 3], [4, 3, 3, 3], { pads: [1, 1, 1, 1], channels_last: 1 }, 4),
    quantisedConvExample('channels last, depthwise', [1, 5, 5, 3], [3, 1, 3, 3], { group: 3, channels_last: 1 }, 1),
    quantisedConvExample('channels first', [1, 3, 5, 5], [4, 3, 3, 3], { channels_last: 0 }, 1),
  ],
});
