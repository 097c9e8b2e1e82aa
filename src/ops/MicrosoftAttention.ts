import { Attributes } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { int32 } from '../tensor/tensor.js';
import { causal, intoHeads, maskTerm, outOfHeads, slicedLast, weighted } from './attentionForm.js';
import { Formula } from './formula.js';
import { packedHeads, packedMacs } from './packedAttention.js';
import { defineOp, type NormaliseContext, refused } from './spec.js';

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
  grad: refused('caches and rotations are not spelt out'),
  normalise: spelt,
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
      title: 'keys that are masked',
      inputs: [[2, 3, 4], [4, 12], [12], int32([2, 3], [1, 1, 0, 1, 0, 1])],
      parameters: [1, 2],
      attributes: { num_heads: 2, mask_filter_value: { float: -5 } },
    },
    {
      title: 'keys up to the query, and to the end of the sample',
      inputs: [[2, 3, 4], [4, 12], [12], int32([2], [2, 3])],
      parameters: [1, 2],
      attributes: { num_heads: 2, unidirectional: 1 },
    },
    {
      title: 'values of another size',
      inputs: [[1, 3, 4], [4, 16], [16]],
      parameters: [1, 2],
      attributes: { num_heads: 2, qkv_hidden_sizes: [4, 4, 8] },
    },
  ],
});

function spelt(node: NodeProto, context: NormaliseContext): NodeProto[] | undefined {
  const [input, weights, bias = '', given = '', past = '', scores = ''] = node.input;
  const attrs = new Attributes(node);
  const [sizes, columns] = [context.shape(input), context.shape(weights)];
  if (!sizes || !columns || past !== '' || node.output[1] || attrs.int('do_rotary', 0)) return undefined;
  const [q, k, v] = attrs.ints('qkv_hidden_sizes') ?? [1, 1, 1].map((share) => (share * columns[1]) / 3);
  const heads = attrs.int('num_heads', 1);
  const [batch, rows] = sizes;
  const formula = new Formula(node, context);
  const filter = attrs.float('mask_filter_value', -10000);
  const mask =
    given === '' ? '' : maskTerm(formula, context, { mask: given, batch, queries: rows, keys: rows, filter });
  if (mask === undefined) return undefined;
  const product = formula.apply('MatMul', [input, weights]);
  const all = bias === '' ? product : formula.apply('Add', [product, bias]);
  const part = (begin: number, size: number): string =>
    intoHeads(formula, slicedLast(formula, all, begin, begin + size), heads);
  const later = attrs.int('unidirectional', 0) !== 0;
  const sums = weighted(formula, {
    query: part(0, q),
    key: part(q, k),
    value: part(q + k, v),
    scale: attrs.float('scale', 0) || 1 / Math.sqrt(q / heads),
    added: [mask, scores, later ? context.constant(causal(rows, rows)) : ''].filter((term) => term !== ''),
  });
  outOfHeads(formula, sums, node.output[0]);
  return formula.nodes;
}
