import { Attributes } from '../onnx/attributes.js';
import { intoHeads, outOfHeads, slicedLast, weighted } from './attentionForm.js';
import { Formula } from './formula.js';
import { packedHeads, packedMacs } from './packedAttention.js';
import { defineOp, refused } from './spec.js';

/**
 * softmax(Q·Kᵀ / √size)·V in several heads, Q, K and V the three parts of input · weights + bias.
 *
 * Source: com.microsoft Attention 1.
 */
export const MicrosoftAttention = defineOp({
  op: 'Attention',
  domain: 'com.microsoft',
  inputs: ['input', 'weights', 'bias?', 'mask_index?', 'past?', 'attention_bias?', 'past_sequence_length?'],
  outputs: ['output', 'present?'],
  trains: [1, 2],
  grad: refused('masks and caches are not spelt out'),
  normalise: (node, context) => {
    const [input, weights, bias = '', mask = '', past = '', scores = ''] = node.input;
    const attrs = new Attributes(node);
    const width = context.shape(weights)?.[1];
    const unusual = ['unidirectional', 'do_rotary'].some((name) => attrs.int(name, 0) !== 0);
    if (width === undefined || mask !== '' || past !== '' || unusual || node.output[1]) return undefined;
    const [q, k, v] = attrs.ints('qkv_hidden_sizes') ?? [width / 3, width / 3, width / 3];
    const heads = attrs.int('num_heads', 1);
    const formula = new Formula(node, context);
    const product = formula.apply('MatMul', [input, weights]);
    const all = bias === '' ? product : formula.apply('Add', [product, bias]);
    const part = (begin: number, size: number): string =>
      intoHeads(formula, slicedLast(formula, all, begin, begin + size), heads);
    const sums = weighted(formula, {
      query: part(0, q),
      key: part(q, k),
      value: part(q + k, v),
      scale: attrs.float('scale', 0) || 1 / Math.sqrt(q / heads),
      added: scores === '' ? [] : [scores],
    });
    outOfHeads(formula, sums, node.output[0]);
    return formula.nodes;
  },
  channels: (node) => {
    const [input, weight, bias, mask, past, scores] = node.inputs;
    const aside = [mask, scores].filter((x) => x !== undefined);
    return packedHeads(node, { input: input!, weight: weight!, bias, scores, past, aside });
  },
  macs: ({ inputs: [input, weight], outputs: [y] }) => packedMacs({ input: input!, weight: weight!, y }),
  examples: [
    {
      title: 'two heads',
      inputs: [[2, 3, 5], [5, 24], [24]],
      parameters: [1, 2],
      attributes: { num_heads: 2 },
    },
    {
      title: 'a bias on the scores, and a scale',
      inputs: [[2, 3, 4], [4, 12], [12], null, null, [1, 2, 3, 3]],
      parameters: [1, 2],
      attributes: { num_heads: 2, scale: { float: 0.25 }, qkv_hidden_sizes: [4, 4, 4] },
    },
    {
      title: 'values of another size',
      inputs: [[1, 3, 4], [4, 16], [16]],
      parameters: [1, 2],
      attributes: { num_heads: 2, qkv_hidden_sizes: [4, 4, 8] },
    },
  ],
});
