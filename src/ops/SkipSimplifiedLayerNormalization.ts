import { skipChannels, skipForm, type Summands } from './skipNorm.js';
import { defineOp, refused } from './spec.js';

const summands: Summands = { summed: [0, 1, 3], scale: 2 };

/**
 * Y = S / √(mean(S²) + ε) · gamma over the last axis, with S = input + skip + bias; the fourth output is S.
 *
 * Source: com.microsoft SkipSimplifiedLayerNormalization 1.
 */
export const SkipSimplifiedLayerNormalization = defineOp({
  op: 'SkipSimplifiedLayerNormalization',
  domain: 'com.microsoft',
  inputs: ['input', 'skip', 'gamma', 'bias?'],
  outputs: ['output', 'mean?', 'inv_std_var?', 'input_skip_bias_sum?'],
  trains: [2, 3],
  grad: refused('it has the gradient of the standard operators that it is spelt in'),
  normalise: (node, context) => skipForm(node, context, summands),
  channels: skipChannels(summands),
  examples: [
    {
      title: 'plain',
      inputs: [[2, 3, 5], [2, 3, 5], [5]],
      parameters: [2],
      attributes: { epsilon: { float: 1e-6 } },
    },
    {
      title: 'with bias',
      inputs: [[2, 3, 5], [2, 3, 5], [5], [5]],
      parameters: [2, 3],
      attributes: { epsilon: { float: 0.001 } },
    },
  ],
});
