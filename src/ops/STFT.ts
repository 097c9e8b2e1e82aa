import { int64 } from '../tensor/tensor.js';
import { defineOp, refused } from './spec.js';

export const STFT = defineOp({
  op: 'STFT',
  since: 17,
  inputs: ['signal', 'frame_step', 'window?', 'frame_length?'],
  outputs: ['output'],
  grad: refused('the spectrum of a signal is not trained through'),
  channels: refused('STFT mixes all samples of a frame'),
  examples: [{ title: 'real signal', inputs: [[1, 16, 1], int64([], [4]), null, int64([], [8])], parameters: [1, 3] }],
});
