import type { ChannelNode } from '../../src/ops/spec.js';
import { sizeOf } from '../../src/tensor/tensor.js';

/** @returns multiply–accumulates, counted one by one in nested loops (padding counts as data). */
export function naiveMacs(node: ChannelNode): number {
  const { op, inputs, outputs, attrs } = node;
  if (op === 'Einsum') return einsumMacs(node);
  const [y] = outputs;
  const [x, w] = inputs;
  let count = 0;
  const group = attrs.int('group', 1);
  const kernel = sizeOf(w!.shape.slice(2));
  if (op === 'Conv' || op === 'FusedConv') {
    for (let out = 0; out < sizeOf(y.shape); out++) for (let c = 0; c < x!.shape[1] / group; c++) count += kernel;
  } else if (op === 'ConvTranspose') {
    for (let i = 0; i < sizeOf(x!.shape); i++) for (let c = 0; c < w!.shape[1]; c++) count += kernel;
  } else if (op === 'Gemm' || op === 'FusedGemm') {
    const inner = attrs.int('transA', 0) ? x!.shape[0] : x!.shape[1];
    for (let out = 0; out < sizeOf(y.shape); out++) for (let k = 0; k < inner; k++) count++;
  } else if (op === 'MatMul') {
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
