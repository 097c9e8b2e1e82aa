import { describe, expect, test } from 'vitest';
import { int64 } from '../../src/tensor/tensor.js';
import { columns, rows, stripped, TinyNet } from './net.js';

describe('Einsum', () => {
  test('mixes channels as a product does', async () => {
    const net = new TinyNet();
    net.node('Einsum', ['x', net.weight('w1', [5, 4], columns([5, 4], [1, 2]))], 'h', { equation: 'bi,ij->bj' });
    net.node('Add', ['h', net.weight('b1', [4])], 'a');
    net.node('Sigmoid', ['a'], 's');
    net.node('Einsum', ['s', net.weight('w2', [3, 4])], 'y', { equation: 'bj,kj->bk' });
    const { removed, dims } = await stripped(net.file(['N', 5], ['N', 3]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('b1'), dims('w2')]).toEqual([[5, 2], [2], [3, 2]]);
  });

  /** Values of three heads of four dimensions, read by the output projection. */
  function heads(dead: (head: number, dim: number) => boolean, bias = 0): TinyNet {
    const net = new TinyNet();
    const w = net.weight('w1', [5, 3, 4], (data) => {
      for (let i = 0; i < data.length; i++) if (dead(Math.floor(i / 4) % 3, i % 4)) data[i] = 0;
    });
    const b = net.weight('b1', [3, 4], (data) => {
      for (let i = 0; i < data.length; i++) if (dead(Math.floor(i / 4), i % 4)) data[i] = bias;
    });
    net.node('Einsum', ['x', w], 'h', { equation: 'btd,dnh->btnh' });
    net.node('Add', ['h', b], 'a');
    net.node('Einsum', ['a', net.weight('w2', [3, 4, 5])], 'y', { equation: 'btnh,nhd->btd' });
    return net;
  }
  const sequence = ['N', 6, 5];

  test('loses whole heads, and the same dimension of every head', async () => {
    const { removed, dims } = await stripped(heads((n, h) => n === 1 || h === 2).file(sequence, sequence));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('b1'), dims('w2')]).toEqual([
      [5, 2, 3],
      [2, 3],
      [2, 3, 5],
    ]);
  });

  test('keeps a dimension that is dead in some heads', async () => {
    const { removed } = await stripped(heads((n, h) => n < 2 && h === 2).file(sequence, sequence));
    expect(removed).toBe(0);
  });

  test('keeps a constant that every head weighs otherwise', async () => {
    const { dims } = await stripped(heads((_, h) => h === 2, 1).file(sequence, sequence));
    expect(dims('w2')).toEqual([3, 4, 5]);
  });
});

describe('indexing along other axes', () => {
  test('GatherElements loses the channels of computed indices as well', async () => {
    const net = new TinyNet();
    net.node('MatMul', [net.weight('w1', [4, 3], rows([4, 3], [1])), 'x'], 'h');
    net.node('Slice', ['x', net.ints('from', [0]), net.ints('to', [1]), net.ints('axis', [1])], 'first');
    net.node('ArgMax', ['first'], 'best', { axis: 2 });
    net.node('Expand', ['best', net.ints('all', [1, 4, 1])], 'places');
    net.node('GatherElements', ['h', 'places'], 'picked', { axis: 2 });
    net.node('MatMul', [net.weight('w2', [2, 4]), 'picked'], 'y');
    const { removed, dims } = await stripped(net.file(['N', 3, 7], ['N', 2, 1]));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('w2')]).toEqual([
      [3, 3],
      [2, 3],
    ]);
  });

  test('ScatterND along positions lets channels go', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [3, 4], columns([3, 4], [0, 3]))], 'h');
    net.node('Transpose', ['h'], 't', { perm: [1, 0, 2] });
    net.node('Slice', ['t', net.ints('from', [0]), net.ints('to', [2])], 'updates');
    net.node('ScatterND', ['t', net.constant('places', int64([2, 1], [5, 2])), 'updates'], 'z');
    net.node('MatMul', ['z', net.weight('w2', [4, 2])], 'y');
    const { removed, dims } = await stripped(net.file(['N', 7, 3], [7, 'N', 2]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([2, 2]);
  });
});

describe('GroupNormalization', () => {
  function normed(dead: readonly number[]): TinyNet {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [6, 3, 1, 1])], 'h');
    const parameters = ['scale', 'shift'].map((name) => net.weight(name, [6], rows([6], dead)));
    net.node('GroupNormalization', ['h', ...parameters], 'n', { num_groups: 3 });
    net.node('Relu', ['n'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 6, 3, 3])], 'y', { pads: [1, 1, 1, 1] });
    return net;
  }
  const image = ['N', 3, 5, 5];

  test('loses groups whose scales are all zero', async () => {
    const { removed, dims } = await stripped(normed([2, 3]).file(image, ['N', 2, 5, 5], { opset: 21 }));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('scale'), dims('w2')]).toEqual([[4, 3, 1, 1], [4], [2, 4, 3, 3]]);
  });

  test('keeps groups of which a part is dead', async () => {
    const { removed } = await stripped(normed([2, 4]).file(image, ['N', 2, 5, 5], { opset: 21 }));
    expect(removed).toBe(0);
  });
});
