import { pinned } from './links.js';
import { wholeNumbers } from './quantised.js';
import { defineOp } from './spec.js';
import { float32 } from '../tensor/tensor.js';
import { quantised, zeroPoint } from './examples.js';

/**
 * LSTM with quantised weights; what comes in and the states are quantised by their own ranges.
 *
 * Source: com.microsoft DynamicQuantizeLSTM 1.
 */
export const DynamicQuantizeLSTM = defineOp({
  op: 'DynamicQuantizeLSTM',
  domain: 'com.microsoft',
  inputs: [
    'X',
    'W',
    'R',
    'B?',
    'sequence_lens?',
    'initial_h?',
    'initial_c?',
    'P?',
    'W_scale',
    'W_zero_point',
    'R_scale',
    'R_zero_point',
  ],
  outputs: ['Y?', 'Y_h?', 'Y_c?'],
  grad: wholeNumbers,
  channels: pinned('all units enter the range of its states'),
  examples: [
    {
      title: 'forward',
      inputs: [
        [3, 2, 3],
        quantised('uint8', [1, 3, 8]),
        quantised('uint8', [1, 2, 8]),
        null,
        null,
        null,
        null,
        null,
        float32([1], [0.01]),
        { ...zeroPoint('uint8', 128), dims: [1] },
        float32([1], [0.01]),
        { ...zeroPoint('uint8', 128), dims: [1] },
      ],
      parameters: [1, 2, 8, 9, 10, 11],
      attributes: { hidden_size: 2 },
    },
  ],
});
