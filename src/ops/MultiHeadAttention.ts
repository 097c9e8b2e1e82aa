import { Attributes, setAttribute } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { int32 } from '../tensor/tensor.js';
import { causal, intoHeads, maskTerm, outOfHeads, slicedLast, weighted } from './attentionForm.js';
import { Formula } from './formula.js';
import { headAxis, headLinks, isZeroFrom, positionPins, wholeBlocks } from './heads.js';
import { axisOf, pinAll } from './links.js';
import { type ChannelNode, type ChannelRelation, defineOp, type Link, type NormaliseContext, refused } from './spec.js';

/**
 * softmax(Q·Kᵀ / √size + attention_bias)·V in several heads, with biases on Q, K and V.
 *
 * Source: com.microsoft MultiHeadAttention 1.
 */
export const MultiHeadAttention = defineOp({
  op: 'MultiHeadAttention',
  domain: 'com.microsoft',
  inputs: [
    'query',
    'key?',
    'value?',
    'bias?',
    'key_padding_mask?',
    'attention_bias?',
    'past_key?',
    'past_value?',
    'past_sequence_length?',
    'cache_indirection?',
  ],
  outputs: ['output', 'present_key?', 'present_value?', 'qk?'],
  trains: [3],
  grad: refused('caches and packed operands are not spelt out'),
  normalise: spelt,
  channels: (node) => {
    const [query, key, value, bias, , , pastKey] = node.inputs;
    if (pastKey || node.outputs.length > 1) return pinAll(node, 'the cache of this attention holds every head');
    if (![query, key, value].every((x) => x?.shape.length === 3))
      return pinAll(node, 'this attention reads packed heads');
    if (bias && bias.known?.stable !== 'all') return pinAll(node, 'the bias of this attention is computed');
    return separate(node);
  },
  macs: ({ inputs: [query, key, value], outputs: [y] }) => {
    const positions = key?.shape.length === 3 ? key.shape[1] : query!.shape[1];
    const width = value?.shape.length === 3 ? query!.shape[2] : y.shape[2];
    return y.shape[0] * y.shape[1] * positions * (width + y.shape[2]);
  },
  examples: [
    {
      title: 'two heads',
      inputs: [
        [2, 3, 8],
        [2, 4, 8],
        [2, 4, 8],
      ],
      attributes: { num_heads: 2 },
    },
    {
      title: 'biases, and values of another size',
      inputs: [[1, 3, 6], [1, 3, 6], [1, 3, 12], [24]],
      parameters: [3],
      attributes: { num_heads: 3, scale: { float: 0.5 } },
    },
    {
      title: 'keys that are masked',
      inputs: [[2, 3, 4], [2, 3, 4], [2, 3, 4], null, int32([2, 3], [1, 1, 0, 1, 0, 1])],
      attributes: { num_heads: 2, mask_filter_value: { float: -5 } },
    },
    {
      title: 'keys up to the query, and to the end of the sample',
      inputs: [[2, 3, 4], [2, 3, 4], [2, 3, 4], [12], int32([2], [2, 3])],
      parameters: [3],
      attributes: { num_heads: 2, unidirectional: 1 },
    },
    {
      title: 'a bias on the scores of every head',
      inputs: [[2, 3, 4], [2, 3, 4], [2, 3, 4], null, null, [1, 2, 3, 3]],
      attributes: { num_heads: 2 },
    },
  ],
});

function separate({ inputs, outputs: [y], attrs }: ChannelNode): ChannelRelation {
  const [query, key, value, bias, , scores] = inputs;
  const heads = attrs.int('num_heads', 1);
  const output = axisOf(y, 2);
  const width = query!.shape[2];
  const own = value!.shape[2] / heads;
  const biases = (axis: { value: NonNullable<typeof bias>; axis: number }): Link[] => [
    ...wholeBlocks(axis, output, heads, 'never', { size: width }),
    ...wholeBlocks(axis, output, heads, 'never', { offset: width, size: width }),
    ...wholeBlocks(axis, output, heads, 'never', { offset: 2 * width, size: value!.shape[2] }),
  ];
  return {
    combine: 'product',
    links: [
      ...headLinks({
        blocks: heads,
        query: axisOf(query!, 2),
        key: axisOf(key!, 2),
        value: axisOf(value!, 2),
        output,
        ...(bias && { isQuiet: (head: number) => isZeroFrom(bias, 2 * width + head * own, own) }),
        perHead: headAxis(scores, heads),
      }),
      ...(bias ? biases(axisOf(bias, 0)) : []),
    ],
    pins: positionPins([query!, key!, value!, y], { positions: 1, scores, heads }),
    patch: (cut) => {
      const kept = cut.kept(output);
      if (kept) setAttribute(cut.node, 'num_heads', kept.length / own);
    },
  };
}

function spelt(node: NodeProto, context: NormaliseContext): NodeProto[] | undefined {
  const [query, key, value, bias = '', padding = '', scores = '', ...others] = node.input;
  const [sizes, keys, values] = [query, key ?? '', value ?? ''].map((name) => context.shape(name));
  const attrs = new Attributes(node);
  const plain = [...others, ...node.output.slice(1)].every((name) => name === '');
  if (!plain || sizes?.length !== 3 || keys?.length !== 3 || values?.length !== 3) return undefined;
  const [batch, rows, width] = sizes;
  const heads = attrs.int('num_heads', 1);
  const formula = new Formula(node, context);
  const part = (x: string, begin: number, size: number): string => {
    if (bias === '') return intoHeads(formula, x, heads);
    const shifted = formula.apply('Add', [x, slicedLast(formula, bias, begin, begin + size)]);
    return intoHeads(formula, shifted, heads);
  };
  const filter = attrs.float('mask_filter_value', -10000);
  const masked = { mask: padding, batch, queries: rows, keys: keys[1], filter };
  const mask = padding === '' ? undefined : maskTerm(formula, context, masked);
  if (padding !== '' && mask === undefined) return undefined;
  const later = attrs.int('unidirectional', 0) !== 0;
  const sums = weighted(formula, {
    query: part(query, 0, width),
    key: part(key, width, width),
    value: part(value, 2 * width, values[2]),
    scale: attrs.float('scale', 0) || 1 / Math.sqrt(width / heads),
    added: [
      ...(mask === undefined ? [] : [mask]),
      ...(scores === '' ? [] : [scores]),
      ...(later ? [context.constant(causal(rows, keys[1]))] : []),
    ],
  });
  outOfHeads(formula, sums, node.output[0]);
  return formula.nodes;
}
