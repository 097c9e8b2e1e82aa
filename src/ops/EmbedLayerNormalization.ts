import { Attributes } from '../onnx/attributes.js';
import { int32, int64 } from '../tensor/tensor.js';
import { Formula, spelledOut } from './formula.js';
import { pinned } from './links.js';
import { defineOp } from './spec.js';

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
  trains: [2, 3, 4, 5, 6],
  grad: spelledOut,
  normalise: (node, context) => {
    const [ids, segments = '', words, places, kinds = '', gamma, beta, mask = '', given = ''] = node.input;
    const shape = context.shape(ids);
    const [, counts = '', sum = ''] = node.output;
    if (!shape) return undefined;
    const [batch, length] = shape;
    const attrs = new Attributes(node);
    const formula = new Formula(node, context);
    const looked = (table: string, at: string): string => formula.apply('Gather', [table, at], { axis: 0 });
    const positions =
      given ||
      context.constant(
        int64(
          [length],
          Array.from({ length }, (_, i) => i),
        ),
      );
    const terms = [looked(words, ids), looked(places, positions)];
    if (segments !== '' && kinds !== '') terms.push(looked(kinds, segments));
    const total = terms.reduce((a, b, i) =>
      formula.apply('Add', [a, b], {}, i === terms.length - 1 && sum !== '' ? sum : undefined),
    );
    // The second output counts the words of every sample; without a mask it holds zeros.
    const none = context.constant(int32([batch], new Int32Array(batch)));
    if (counts !== '' && mask === '') formula.apply('Identity', [none], {}, counts);
    else if (counts !== '') formula.apply('ReduceSum', [mask, formula.ints([1])], { keepdims: 0 }, counts);
    const epsilon = { float: attrs.float('epsilon', 1e-12) };
    formula.apply('LayerNormalization', [total, gamma, beta], { axis: -1, epsilon }, node.output[0]);
    return formula.nodes;
  },
  channels: pinned('every channel enters the statistics'),
  examples: [
    {
      title: 'words, positions and segments',
      inputs: [int32([2, 3], [0, 4, 2, 1, 3, 3]), int32([2, 3], [0, 0, 1, 0, 1, 1]), [5, 4], [6, 4], [2, 4], [4], [4]],
      parameters: [2, 3, 4, 5, 6],
      outputs: 2,
    },
    {
      title: 'words and a mask',
      inputs: [
        int32([2, 3], [0, 4, 2, 1, 3, 3]),
        null,
        [5, 4],
        [6, 4],
        null,
        [4],
        [4],
        int32([2, 3], [1, 1, 1, 1, 1, 0]),
      ],
      parameters: [2, 3, 5, 6],
      outputs: 2,
      attributes: { epsilon: { float: 0.001 } },
    },
  ],
});
