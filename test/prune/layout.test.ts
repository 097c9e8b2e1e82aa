import { describe, expect, test } from 'vitest';
import { float32, int64 } from '../../src/tensor/tensor.js';
import { columns, rows, stripped, TinyNet } from './net.js';

const image = ['N', 3, 6, 6];

/** A convolution whose channels 1 and 3 of 4 are dead; the spatial size stays 6×6. */
function start(net: TinyNet, out = 4, dead: readonly number[] = [1, 3]): string {
  return net.node('Conv', ['x', net.weight('w1', [out, 3, 1, 1], rows([out, 3], dead))], 'h');
}

describe('merged axes', () => {
  test('channels in front of positions', async () => {
    const net = new TinyNet();
    start(net);
    net.node('Reshape', ['h', net.ints('target', [-1, 144])], 'f');
    net.node('Gemm', ['f', net.weight('w2', [144, 2])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([72, 2]);
  });

  test('channels behind positions', async () => {
    const net = new TinyNet();
    start(net);
    net.node('Transpose', ['h'], 't', { perm: [0, 2, 3, 1] });
    net.node('Reshape', ['t', net.ints('target', [-1, 144])], 'f');
    net.node('Gemm', ['f', net.weight('w2', [144, 2])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([72, 2]);
  });

  test('the batch merged with heads: the same dimensions go from every head', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 12], columns([5, 12], [1, 5, 9, 2]))], 'h');
    net.node('Reshape', ['h', net.ints('target', [-1, 4, 4])], 'heads');
    net.node('Relu', ['heads'], 'r');
    net.node('Reshape', ['r', net.ints('back', [-1, 4, 12])], 'f');
    net.node('MatMul', ['f', net.weight('w2', [12, 3])], 'y');
    const { removed, dims } = await stripped(net.file(['N', 4, 5], ['N', 4, 3]));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('w2')]).toEqual([
      [5, 9],
      [9, 3],
    ]);
  });

  test('a target that is computed from Shape', async () => {
    const net = new TinyNet();
    start(net);
    net.node('Shape', ['h'], 's');
    net.node('Gather', ['s', net.constant('zero', int64([], [0]))], 'n');
    net.node('Gather', ['s', net.constant('one', int64([], [1]))], 'c');
    net.node('Unsqueeze', ['n', net.ints('axis', [0])], 'n1');
    net.node('Unsqueeze', ['c', 'axis'], 'c1');
    net.node('Concat', ['n1', 'c1', net.ints('rest', [-1])], 'target', { axis: 0 });
    net.node('Reshape', ['h', 'target'], 'r');
    net.node('ReduceMean', ['r'], 'm', { axes: [2], keepdims: 0 });
    net.node('Gemm', ['m', net.weight('w2', [4, 2])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([2, 2]);
  });

  test('two sizes of the target that follow free dimensions stay what they are', async () => {
    const net = new TinyNet();
    start(net);
    net.node('Shape', ['h'], 's');
    net.node('Gather', ['s', net.ints('order', [0, 1, 3, 2])], 'target');
    net.node('Reshape', ['h', 'target'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 4, 1, 1])], 'y');
    const { removed } = await stripped(net.file(['N', 3, 6, 'W'], ['N', 2, 'W', 6]));
    expect(removed).toBe(2);
  });
});

test('a number of channels that is computed with stays the old one', async () => {
  const net = new TinyNet();
  start(net);
  net.node('Shape', ['h'], 's');
  net.node('Gather', ['s', net.constant('one', int64([], [1]))], 'c');
  net.node('Cast', ['c'], 'c1', { to: 1 });
  net.node('Div', ['h', 'c1'], 'd');
  net.node('Conv', ['d', net.weight('w2', [2, 4, 1, 1])], 'y');
  expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(2);
});

describe('parts of channels', () => {
  test('Split and Concat in another order', async () => {
    const net = new TinyNet();
    start(net, 6, [0, 4, 5]);
    net.node('Split', ['h', net.ints('parts', [2, 4])], 'a b', { axis: 1 });
    net.node('Relu', ['a'], 'ra');
    net.node('Concat', ['b', 'ra'], 'c', { axis: 1 });
    net.node('Conv', ['c', net.weight('w2', [2, 6, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(3);
    expect(dims('w2')).toEqual([2, 3, 1, 1]);
  });

  test('Slice, and what nobody reads', async () => {
    const net = new TinyNet();
    start(net, 6, [2]);
    net.node('Slice', ['h', net.ints('from', [1]), net.ints('to', [-1]), net.ints('axes', [1])], 's');
    net.node('Conv', ['s', net.weight('w2', [2, 4, 1, 1], columns([2, 4, 1, 1], [3]))], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(4);
    expect([dims('w1'), dims('w2')]).toEqual([
      [2, 3, 1, 1],
      [2, 2, 1, 1],
    ]);
  });

  test('Gather by a list', async () => {
    const net = new TinyNet();
    start(net, 4, [1]);
    net.node('Gather', ['h', net.ints('order', [3, 1, 0, 2])], 's', { axis: 1 });
    net.node('Conv', ['s', net.weight('w2', [2, 4, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect(dims('w2')).toEqual([2, 3, 1, 1]);
  });

  test('a shortcut that pads channels with zeros', async () => {
    const net = new TinyNet();
    start(net, 4, [1, 3]);
    const bounds = ['from', 'to', 'axes', 'steps'].map((n, i) =>
      net.ints(
        n,
        [
          [0, 0],
          [99, 99],
          [2, 3],
          [2, 2],
        ][i],
      ),
    );
    net.node('Slice', ['h', ...bounds], 's');
    net.node('Pad', ['s', net.ints('pads', [0, 2, 0, 0, 0, 2, 0, 0])], 'p');
    net.node('Conv', ['h', net.weight('w2', [8, 4, 1, 1], rows([8, 4], [0, 3, 5, 6]))], 'b', { strides: [2, 2] });
    net.node('Add', ['p', 'b'], 'sum');
    net.node('Relu', ['sum'], 'r');
    net.node('Conv', ['r', net.weight('w3', [2, 8, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 3, 3]));
    // Channels 1 and 3 of the trunk lie at 3 and 5 of the sum, where w2 is dead as well; 0 and 6 come from w2 alone.
    expect(removed).toBe(4);
    expect([dims('w1'), dims('w2'), dims('w3')]).toEqual([
      [2, 3, 1, 1],
      [4, 2, 1, 1],
      [2, 4, 1, 1],
    ]);
  });
});

describe('split axes', () => {
  test('whole groups of a channel shuffle', async () => {
    const net = new TinyNet();
    start(net, 6, [2, 3]);
    net.node('Reshape', ['h', net.ints('groups', [0, 3, 2, 6, 6])], 'g');
    net.node('Transpose', ['g'], 't', { perm: [0, 2, 1, 3, 4] });
    net.node('Reshape', ['t', net.ints('flat', [0, 6, 6, 6])], 'f');
    net.node('Conv', ['f', net.weight('w2', [2, 6, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect(dims('w2')).toEqual([2, 4, 1, 1]);
  });

  test('DepthToSpace', async () => {
    const net = new TinyNet();
    start(net, 8, [1, 3, 5, 7]);
    net.node('DepthToSpace', ['h'], 'd', { blocksize: 2 });
    net.node('Conv', ['d', net.weight('w2', [2, 2, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 12, 12]));
    expect(removed).toBe(1);
    expect(dims('w2')).toEqual([2, 1, 1, 1]);
  });
});

test('Resize to sizes that are computed from Shape', async () => {
  const net = new TinyNet();
  start(net);
  net.node('Shape', ['h'], 's');
  net.node('Slice', ['s', net.ints('zero', [0]), net.ints('two', [2])], 'nc');
  net.node('Concat', ['nc', net.ints('hw', [12, 12])], 'sizes', { axis: 0 });
  net.node('Resize', ['h', '', '', 'sizes'], 'r');
  net.node('Conv', ['r', net.weight('w2', [2, 4, 1, 1])], 'y');
  expect((await stripped(net.file(image, ['N', 2, 12, 12]))).removed).toBe(2);
});

test('a gate of squeeze and excitation', async () => {
  const net = new TinyNet();
  start(net);
  net.node('GlobalAveragePool', ['h'], 'g');
  net.node('Squeeze', ['g', net.ints('axes', [2, 3])], 'q');
  net.node('Gemm', ['q', net.weight('w2', [4, 2])], 'inner');
  net.node('Relu', ['inner'], 'act');
  net.node('Gemm', ['act', net.weight('w3', [2, 4])], 'outer');
  net.node('Unsqueeze', ['outer', 'axes'], 'u');
  net.node('Sigmoid', ['u'], 'gate');
  net.node('Mul', ['h', 'gate'], 'm');
  net.node('Conv', ['m', net.weight('w4', [2, 4, 1, 1])], 'y');
  const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
  expect(removed).toBe(2);
  expect([dims('w1'), dims('w2'), dims('w3'), dims('w4')]).toEqual([
    [2, 3, 1, 1],
    [2, 2],
    [2, 2],
    [2, 2, 1, 1],
  ]);
});

test('a PRelu keeps the slopes of the channels that stay', async () => {
  const net = new TinyNet();
  start(net);
  net.node('PRelu', ['h', net.constant('slope', float32([4, 1, 1], [0.1, 0.2, 0.3, 0.4]))], 'p');
  net.node('Conv', ['p', net.weight('w2', [2, 4, 1, 1])], 'y');
  const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
  expect(removed).toBe(2);
  expect(dims('slope')).toEqual([2, 1, 1]);
});
