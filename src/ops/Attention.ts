import { Attributes, setAttribute } from '../onnx/attributes.js';
import type { NodeProto } from '../onnx/proto.js';
import { causal, intoHeads, outOfHeads, weighted } from './attentionForm.js';
import { Formula } from './formula.js';
import { headAxis, headLinks, positionPins } from './heads.js';
import { axisOf, pinAll } from './links.js';
import { type ChannelNode, type ChannelRelation, defineOp, type NormaliseContext, refused } from './spec.js';

/** softmax(Q·Kᵀ · scale + mask)·V in several heads: [batch, heads, positions, size], or [batch, positions, heads · size]. */
export const Attention = defineOp({
  op: 'Attention',
  since: 23,
  inputs: ['Q', 'K', 'V', 'attn_mask?', 'past_key?', 'past_value?', 'nonpad_kv_seqlen?'],
  outputs: ['Y', 'present_key?', 'present_value?', 'qk_matmul_output?'],
  grad: refused('masks of truths, caches and soft caps are not spelt out'),
  normalise: spelt,
  channels: (node) => {
    const { inputs, outputs } = node;
    if (inputs[4] || outputs.length > 1) return pinAll(node, 'the cache of this attention holds every head');
    return inputs[0]!.shape.length === 3 ? inRows(node) : inHeads(node);
  },
  macs: ({ inputs: [query, key, value], outputs: [y] }) => {
    const size = query!.shape.at(-1)!;
    const positions = key!.shape.at(-2)!;
    const rows = y.shape.slice(0, -1).reduce((n, d) => n * d, 1);
    // In rows, a head of values is a part of the last axis of Y.
    const own = query!.shape.length === 3 ? y.shape.at(-1)! : value!.shape.at(-1)!;
    return rows * positions * (size + own);
  },
  examples: [
    {
      title: 'heads in rows',
      inputs: [
        [2, 3, 8],
        [2, 4, 8],
        [2, 4, 12],
      ],
      attributes: { q_num_heads: 4, kv_num_heads: 4 },
    },
    {
      title: 'heads in rows, two to a head of keys',
      inputs: [
        [1, 3, 8],
        [1, 4, 4],
        [1, 4, 6],
      ],
      attributes: { q_num_heads: 4, kv_num_heads: 2, is_causal: 1 },
    },
    {
      title: 'an axis of heads',
      inputs: [
        [2, 2, 3, 4],
        [2, 2, 5, 4],
        [2, 2, 5, 3],
      ],
    },
    {
      title: 'an axis of heads, two to a head of keys, and a mask for each',
      inputs: [
        [1, 4, 3, 2],
        [1, 2, 3, 2],
        [1, 2, 3, 2],
        [1, 4, 3, 3],
      ],
      attributes: { scale: { float: 0.3 } },
    },
  ],
});

/** [batch, positions, heads · size] */
function inRows({ inputs: [query, key, value, mask], outputs: [y], attrs }: ChannelNode): ChannelRelation {
  const blocks = attrs.int('kv_num_heads', 1);
  const heads = attrs.int('q_num_heads', 1);
  const output = axisOf(y, 2);
  const own = y.shape[2] / heads;
  return {
    combine: 'product',
    links: [
      ...headLinks({
        blocks,
        query: axisOf(query!, 2),
        key: axisOf(key!, 2),
        value: axisOf(value!, 2),
        output,
        perHead: headAxis(mask, heads),
      }),
    ],
    pins: positionPins([query!, key!, value!, y], { positions: 1, scores: mask, heads }),
    patch: (cut) => {
      const kept = cut.kept(output);
      if (!kept) return;
      setAttribute(cut.node, 'q_num_heads', kept.length / own);
      setAttribute(cut.node, 'kv_num_heads', (kept.length / own / heads) * blocks);
    },
  };
}

/** [batch, heads, positions, size]: sizes may go as well, of queries and keys together, or of values. */
function inHeads({ inputs: [query, key, value, mask], outputs: [y], attrs }: ChannelNode): ChannelRelation {
  const [a, b] = [axisOf(query!, 3), axisOf(key!, 3)];
  return {
    combine: 'product',
    links: [
      ...headLinks({
        blocks: key!.shape[1],
        query: axisOf(query!, 1),
        key: axisOf(key!, 1),
        value: axisOf(value!, 1),
        output: axisOf(y, 1),
        perHead: headAxis(mask, y.shape[1]),
      }),
      { from: axisOf(value!, 3), to: axisOf(y, 3), constants: 'zero' },
    ],
    contractions: [{ a, b }],
    pins: positionPins([query!, key!, value!, y], { positions: 2, scores: mask, heads: y.shape[1] }),
    patch: (cut) => {
      // The scale goes by the size of a head, unless it is said.
      if (!cut.kept(a) || attrs.has('scale')) return;
      setAttribute(cut.node, 'scale', { float: 1 / Math.sqrt(query!.shape[3]) });
    },
  };
}

/** Caches, soft caps and masks of truths are left as they are: they have no form in opset 18. */
function spelt(node: NodeProto, context: NormaliseContext): NodeProto[] | undefined {
  const [query, key, value, mask = '', ...others] = node.input;
  const [sizes, keys] = [query, key].map((name) => context.shape(name));
  const attrs = new Attributes(node);
  const plain = [...others, ...node.output.slice(1)].every((name) => name === '') && attrs.float('softcap', 0) === 0;
  if (!plain || !sizes || !keys) return undefined;
  const formula = new Formula(node, context);
  const inRows = sizes.length === 3;
  const heads = inRows ? attrs.int('q_num_heads', 1) : sizes[1];
  const blocks = inRows ? attrs.int('kv_num_heads', 1) : keys[1];
  const split = (x: string, count: number): string => (inRows ? intoHeads(formula, x, count) : x);
  const scale = attrs.float('scale') ?? 1 / Math.sqrt(inRows ? sizes[2] / heads : sizes[3]);
  const [rows, columns] = [sizes.at(-2)!, keys.at(-2)!];
  const spelling = {
    query: split(query, heads),
    key: shared(formula, split(key, blocks), heads / blocks),
    value: shared(formula, split(value, blocks), heads / blocks),
    scale,
    added: [
      ...(mask === '' ? [] : [mask]),
      ...(attrs.int('is_causal', 0) === 0 ? [] : [context.constant(causal(rows, columns))]),
    ],
  };
  if (inRows) outOfHeads(formula, weighted(formula, spelling), node.output[0]);
  else weighted(formula, spelling, node.output[0]);
  return formula.nodes;
}

/** Repeats every head of keys or values for the heads of queries that share it. */
function shared(formula: Formula, x: string, times: number): string {
  if (times === 1) return x;
  const apart = formula.apply('Unsqueeze', [x, formula.ints([2])]);
  const repeated = formula.apply('Expand', [apart, formula.ints([1, 1, times, 1, 1])]);
  // A head and its repetitions become heads side by side.
  const rows = formula.apply('Transpose', [repeated], { perm: [0, 3, 4, 1, 2] });
  const together = formula.apply('Reshape', [rows, formula.ints([0, 0, 0, -1])]);
  return formula.apply('Transpose', [together], { perm: [0, 3, 1, 2] });
}
