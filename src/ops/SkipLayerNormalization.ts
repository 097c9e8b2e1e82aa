import { defineOp, refused } from './spec.js';
import { skipChannels, skipForm, type Summands } from './skipNorm.js';

const summands: Summands = { summed: [0, 1, 4], scale: 2, shift: 3 };

/**
 * Y = LayerNormalization(input + skip + bias) over the last axis; the fourth output is the sum.
 *
 * Source: com.microsoft SkipLayerNormalization 1.
 */
export const SkipLayerNormalization = defineOp({
  op: 'SkipLayerNormalization',
  domain: 'com.microsoft',
  inputs: ['input', 'skip', 'gamma', 'beta?', 'bias?'],
  outputs: ['output', 'mean?', 'inv_std_var?', 'input_skip_bias_sum?'],
  trains: [2, 3, 4],
  grad: refused('it has the gradient of the standard operators that it is spelt in'),
  normalise: (node, context) => skipForm(node, context, summands),
  channels: skipChannels(summands),
  examples: [
    { title: 'plain', inputs: [[2, 3, 5], [2, 3, 5], [5], [5]], parameters: [2, 3] },
    {
      title: 'with bias and epsilon, without beta',
      inputs: [[2, 3, 5], [2, 3, 5], [5], null, [5]],
      parameters: [2, 4],
      attributes: { epsilon: { float: 0.001 } },
    },
    { title: 'a skip for all samples', inputs: [[2, 3, 5], [1, 3, 5], [5], [5]], parameters: [2, 3] },
  ],
});
