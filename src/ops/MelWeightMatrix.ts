import { float32, int64 } from '../tensor/tensor.js';
import { noGradient, pinAll } from './links.js';
import { defineOp } from './spec.js';

export const MelWeightMatrix = defineOp({
  op: 'MelWeightMatrix',
  since: 17,
  inputs: ['num_mel_bins', 'dft_length', 'sample_rate', 'lower_edge_hertz', 'upper_edge_hertz'],
  outputs: ['output'],
  grad: noGradient,
  channels: (node) => pinAll(node, 'MelWeightMatrix makes a matrix of this size'),
  examples: [
    {
      title: 'eight bins',
      inputs: [int64([], [8]), int64([], [16]), int64([], [8192]), float32([], [0]), float32([], [4096])],
      parameters: [0, 1, 2, 3, 4],
    },
  ],
});
