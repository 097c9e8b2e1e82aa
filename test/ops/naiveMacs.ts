import type { ChannelNode } from '../../src/ops/spec.js';
import { sizeOf } from '../../src/tensor/tensor.js';

/** @returns multiply–accumulates, counted one by one in nested loops (padding counts as data). */
export function naiveMacs(node: ChannelNode): number {
  const { op, inputs, outputs, attrs } = node;
  if (op === 'Einsum') return einsumMacs(node);
  if (/Attention$/.test(op)) return attentionMacs(node);
  const [y] = outputs;
  // The operands of a quantised product stand between their scales and zero points.
  const [x, w] = /^(QLinear(Conv|MatMul)|QGemm)$/.test(op) ? [inputs[0], inputs[3]] : inputs;
  let count = 0;
  const channels = attrs.int('channels_last', 0) ? x!.shape.length - 1 : 1;
  const group = attrs.int('group', 1);
  const kernel = sizeOf(w!.shape.slice(2));
  if (/^(Conv|FusedConv|QLinearConv|ConvInteger)$/.test(op)) {
    for (let out = 0; out < sizeOf(y.shape); out++)
      for (let c = 0; c < x!.shape[channels] / group; c++) count += kernel;
  } else if (op === 'ConvTranspose') {
    for (let i = 0; i < sizeOf(x!.shape); i++) for (let c = 0; c < w!.shape[1]; c++) count += kernel;
  } else if (op === 'Gemm' || op === 'FusedGemm' || op === 'QGemm') {
    const inner = attrs.int('transA', 0) ? x!.shape[0] : x!.shape[1];
    for (let out = 0; out < sizeOf(y.shape); out++) for (let k = 0; k < inner; k++) count++;
  } else if (/MatMul|^MatMulInteger/.test(op) && op !== 'FusedMatMul') {
    for (let out = 0; out < sizeOf(y.shape); out++) for (let k = 0; k < x!.shape.at(-1)!; k++) count++;
  } else if (op === 'LSTM' || op === 'GRU' || op === 'RNN') {
    const [, r] = inputs.slice(1);
    const [directions, rows, columns] = w!.shape;
    for (let step = 0; step < x!.shape[0] * x!.shape[1] * directions; step++)
      for (let row = 0; row < rows; row++) count += columns + r!.shape[2];
  } else if (op === 'FusedMatMul') {
    const inner = x!.shape.at(attrs.int('transA', 0) ? -2 : -1)!;
    for (let out = 0; out < sizeOf(y.shape); out++) for (let k = 0; k < inner; k++) count++;
  } else throw new Error(`no naive count for ${op}`);
  return count;
}

/** Scores of every head, and what they weigh; projections where there is a weight. */
function attentionMacs({ inputs, outputs: [y], attrs, op }: ChannelNode): number {
  const [query, key, value] = inputs.map((v) => v?.shape ?? []);
  const weight = op === 'QAttention' || (op === 'Attention' && key.length === 2) ? key : undefined;
  let count = 0;
  if (weight) for (let row = 0; row < query[0] * query[1]; row++) count += weight[0] * weight[1];
  const inHeads = query.length === 4;
  const heads = inHeads ? query[1] : attrs.int('num_heads', attrs.int('q_num_heads', 1));
  const positions = weight ? query[1] : key.at(-2)!;
  const [, k, v] = attrs.ints('qkv_hidden_sizes') ?? [0, 0, 0];
  const width = weight ? k || weight[1] / 3 : inHeads ? query[3] * heads : query[2];
  const outer = weight ? v || weight[1] / 3 : inHeads ? value[3] * heads : y.shape[2];
  for (let sample = 0; sample < query[0]; sample++)
    for (let i = 0; i < query.at(-2)!; i++)
      for (let j = 0; j < positions; j++) count += heads * (width / heads + outer / heads);
  return count;
}

/** Every index of the product of all letters multiplies its operands together. */
function einsumMacs({ inputs, attrs }: ChannelNode): number {
  const [left] = attrs.string('equation', '').replaceAll(' ', '').split('->');
  const sizes = new Map<string, number>();
  left.split(',').forEach((term, k) => {
    const letters = [...term.replace('...', '')];
    inputs[k]!.shape.toReversed().forEach((size, i) => {
      const key = letters.at(-1 - i) ?? `axis ${i - letters.length} before the letters`;
      sizes.set(key, Math.max(size, sizes.get(key) ?? 1));
    });
  });
  return (inputs.length - 1) * sizeOf([...sizes.values()]);
}
