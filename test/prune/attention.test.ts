import { describe, expect, test } from 'vitest';
import { int64 } from '../../src/tensor/tensor.js';
import { columns, stripped, TinyNet } from './net.js';

/** x [N, 4, 6] → two heads of three dimensions for queries and keys, of two for values → y [N, 4, 6]. */
function attention(dead: { q?: number[]; k?: number[]; v?: number[] }, biases: { q?: number[]; k?: number[] } = {}) {
  const net = new TinyNet();
  const heads = (name: 'q' | 'k' | 'v', each: number, perm: number[]) => {
    const weight = net.weight(`w_${name}`, [6, 2 * each], columns([6, 2 * each], dead[name] ?? []));
    net.node('MatMul', ['x', weight], `${name}0`);
    const bias = name === 'v' ? undefined : biases[name];
    if (bias) net.node('Add', [`${name}0`, net.weight(`b_${name}`, [2 * each], (b) => b.set(bias))], `${name}1`);
    net.node(
      'Reshape',
      [bias ? `${name}1` : `${name}0`, net.constant(`s_${name}`, int64([4], [0, 4, 2, each]))],
      `${name}2`,
    );
    net.node('Transpose', [`${name}2`], name, { perm });
  };
  heads('q', 3, [0, 2, 1, 3]);
  heads('k', 3, [0, 2, 3, 1]);
  heads('v', 2, [0, 2, 1, 3]);
  net.node('MatMul', ['q', 'k'], 'scores');
  net.node('Softmax', ['scores'], 'p', { axis: -1 });
  net.node('MatMul', ['p', 'v'], 'o');
  net.node('Transpose', ['o'], 'o1', { perm: [0, 2, 1, 3] });
  net.node('Reshape', ['o1', net.constant('s_o', int64([3], [0, 4, 4]))], 'o2');
  net.node('MatMul', ['o2', net.weight('w_o', [4, 6])], 'y');
  return stripped(net.file(['N', 4, 6], ['N', 4, 6]));
}

describe('attention spelled out', () => {
  test('dimensions of queries and keys go together in every head, where either is zero', async () => {
    const { removed, dims } = await attention({ q: [1, 4] });
    expect(removed).toBe(1);
    expect([dims('w_q'), dims('w_k'), dims('w_v')]).toEqual([
      [6, 4],
      [6, 4],
      [6, 4],
    ]);
    expect((await attention({ q: [1], k: [4] })).removed).toBe(0);
  });

  test('dimensions of values go with the rows that read them', async () => {
    const { removed, dims } = await attention({ v: [0, 2] });
    expect(removed).toBe(1);
    expect([dims('w_v'), dims('w_o'), dims('w_q')]).toEqual([
      [6, 2],
      [2, 6],
      [6, 6],
    ]);
  });

  test('whole heads go where their values are zero', async () => {
    const { removed, dims } = await attention({ v: [2, 3] });
    expect(removed).toBe(1);
    expect([dims('w_q'), dims('w_k'), dims('w_v'), dims('w_o')]).toEqual([
      [6, 3],
      [6, 3],
      [6, 2],
      [2, 6],
    ]);
  });

  test('a dimension whose queries hold a constant other than zero stays', async () => {
    const constant = [0.5, 2, 0.5, 0.5, 2, 0.5];
    expect((await attention({ q: [1, 4] }, { q: constant })).removed).toBe(0);
    const both = await attention({ q: [1, 4], k: [1, 4] }, { q: constant, k: [0.5, 3, 0.5, 0.5, 3, 0.5] });
    expect(both.removed).toBe(0);
    expect((await attention({ q: [1, 4], k: [1, 4] }, { q: constant })).removed).toBe(1);
  });
});

test('sizes that are a batch times the number of heads shrink in proportion, at every batch', async () => {
  const net = new TinyNet();
  const one = (name: string, n: number) => net.constant(name, int64([1], [n]));
  net.node('MatMul', ['x', net.weight('w1', [5, 6], columns([5, 6], [2, 3]))], 'h');
  // [N, 6] → [N · 6, 1] and back, as exporters spell it.
  net.node('Shape', ['h'], 'hs');
  net.node('Gather', ['hs', one('zero', 0)], 'batch');
  net.node('Mul', ['batch', one('heads', 6)], 'rows');
  net.node('Concat', ['rows', one('one', 1)], 'into', { axis: 0 });
  net.node('Reshape', ['h', 'into'], 'r');
  net.node('MatMul', ['r', net.weight('w2', [1, 4])], 'g');
  net.node('Shape', ['g'], 'gs');
  net.node('Gather', ['gs', 'zero'], 'all');
  net.node('Div', ['all', 'heads'], 'again');
  net.node('Concat', ['again', 'heads', one('four', 4)], 'back', { axis: 0 });
  net.node('Reshape', ['g', 'back'], 'g3');
  net.node('ReduceSum', ['g3', one('last', 2)], 'o', { keepdims: 0 });
  net.node('MatMul', ['o', net.weight('w3', [6, 3])], 'y');
  const { dims, batches, drift } = await stripped(net.file(['N', 5], ['N', 3]));
  expect([dims('w1'), dims('w2'), dims('w3')]).toEqual([
    [5, 4],
    [1, 4],
    [4, 3],
  ]);
  expect([batches, drift.maxRelative < 1e-5]).toEqual([[1, 3], true]);
});
