import { describe, expect, test } from 'vitest';
import { CgesError } from '../../src/errors.js';
import { makeNode, makeTensor, makeValueInfo } from '../../src/onnx/make.js';
import { proveEqual } from '../../src/prune/prove.js';
import { float32 } from '../../src/tensor/tensor.js';
import { columns, rows, stripped, TinyNet } from './net.js';

const image = ['N', 3, 6, 6];

describe('dead by producer', () => {
  test('filters of zeros go from a plain chain, with their biases and the columns that read them', async () => {
    const net = new TinyNet();
    net.node(
      'Conv',
      ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [1, 3])), net.weight('b1', [4], rows([4], [1, 3]))],
      'h',
    );
    net.node('Relu', ['h'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 4, 3, 3])], 'y', { pads: [1, 1, 1, 1] });
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 4, 4]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('b1'), dims('w2')]).toEqual([[2, 3, 3, 3], [2], [2, 2, 3, 3]]);
  });

  test('a constant folds into the bias of a dense layer', async () => {
    const net = new TinyNet();
    net.node(
      'Gemm',
      ['x', net.weight('w1', [4, 5], rows([4, 5], [0, 2])), net.weight('b1', [4], (b) => b.set([3, 1, 2, -1]))],
      'h',
      {
        transB: 1,
      },
    );
    net.node('Relu', ['h'], 'r');
    net.node('Gemm', ['r', net.weight('w2', [4, 2]), net.weight('b2', [2])], 'y', { alpha: { float: 0.5 } });
    const { removed, dims } = await stripped(net.file(['N', 5], ['N', 2]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('w2')]).toEqual([
      [2, 5],
      [2, 2],
    ]);
  });

  test('a MatMul without bias gets one where a constant must be kept', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 4], columns([5, 4], [1]))], 'h');
    net.node('Add', ['h', net.weight('b1', [4])], 'a');
    net.node('Sigmoid', ['a'], 's');
    net.node('MatMul', ['s', net.weight('w2', [4, 2])], 'y');
    const { removed, ops } = await stripped(net.file(['N', 5], ['N', 2]));
    expect(removed).toBe(1);
    expect(ops).toEqual(['MatMul', 'Add', 'Sigmoid', 'MatMul', 'Add']);
  });

  test('a constant joins the bias that the next node adds', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w1', [5, 4], columns([5, 4], [1]))], 'h');
    net.node('Add', ['h', net.weight('b1', [4])], 'a');
    net.node('MatMul', ['a', net.weight('w2', [4, 2])], 'g');
    net.node('Add', [net.weight('b2', [1, 2]), 'g'], 'y');
    const { removed, ops, dims } = await stripped(net.file(['N', 5], ['N', 2]));
    expect(removed).toBe(1);
    expect(ops).toEqual(['MatMul', 'Add', 'MatMul', 'Add']);
    expect(dims('b2')).toEqual([1, 2]);
  });

  test('BatchNormalization makes a constant of a dead channel, and a zero scale makes a dead channel', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [0]))], 'h');
    const scale = net.weight('scale', [4], rows([4], [2]));
    const variance = net.constant('var', float32([4], [1, 2, 0.5, 1]));
    net.node(
      'BatchNormalization',
      ['h', scale, net.weight('shift', [4], (d) => d.set([2, 1, 1, 1])), net.weight('mean', [4]), variance],
      'n',
    );
    net.node('Relu', ['n'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 4, 3, 3])], 'y');
    const { removed, dims, ops } = await stripped(net.file(image, ['N', 2, 2, 2]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('scale'), dims('var'), dims('w2')]).toEqual([[2, 3, 3, 3], [2], [2], [2, 2, 3, 3]]);
    expect(ops).toEqual(['Conv', 'BatchNormalization', 'Relu', 'Conv']);
  });

  test('of a layer that is dead altogether, one channel stays', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], (d) => d.fill(0)), net.weight('b1', [4])], 'h');
    net.node('Relu', ['h'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 4, 1, 1])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 4, 4]))).dims('w1')).toEqual([1, 3, 3, 3]);
  });
});

describe('non-zero constants under zero padding', () => {
  const padded = (net: TinyNet) => {
    net.node(
      'Conv',
      [
        'x',
        net.weight('w1', [5, 3, 3, 3], rows([5, 27], [0, 2, 3])),
        net.weight('b1', [5], (b) => b.set([1, 0.5, 2, 3, 0.1])),
      ],
      'h',
      {
        pads: [1, 1, 1, 1],
      },
    );
    net.node('Relu', ['h'], 'r');
  };

  test('are merged into one channel that stays', async () => {
    const net = new TinyNet();
    padded(net);
    net.node('Conv', ['r', net.weight('w2', [2, 5, 3, 3])], 'y', { pads: [1, 1, 1, 1] });
    const { removed, dims, contents } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([2, 3, 3, 3]);
    expect(contents('b1')).toEqual([0.5, 3, Math.fround(0.1)]);
  });

  test('take one channel together for several consumers, beside one that folds', async () => {
    const net = new TinyNet();
    padded(net);
    net.node('Conv', ['r', net.weight('w2', [2, 5, 3, 3])], 'a', { pads: [1, 1, 1, 1] });
    net.node('Conv', ['r', net.weight('w3', [2, 5, 5, 5])], 'b', { pads: [2, 2, 2, 2] });
    net.node('Conv', ['r', net.weight('w4', [2, 5, 1, 1])], 'c');
    net.node('Add', ['a', 'b'], 'ab');
    net.node('Add', ['ab', 'c'], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(2);
  });

  test('a shared kernel is cloned where its uses come to differ', async () => {
    const net = new TinyNet();
    const w2 = net.weight('w2', [4, 4, 3, 3], columns([4, 4, 3, 3], [3]));
    for (const [i, levels] of [
      [1, 2, 3],
      [3, 1, 2],
    ].entries()) {
      net.node(
        'Conv',
        [
          'x',
          net.weight(`w1${i}`, [4, 3, 1, 1], rows([4, 3], [0, 1])),
          net.weight(`b1${i}`, [4], (b) => b.set(levels)),
        ],
        `h${i}`,
      );
      net.node('Conv', [`h${i}`, w2], `c${i}`, { pads: [1, 1, 1, 1] });
    }
    net.node('Add', ['c0', 'c1'], 'y');
    const { dims, removed } = await stripped(net.file(image, ['N', 4, 6, 6]));
    expect(removed).toBe(2);
    expect(dims('w2')![1]).toBe(2);
  });

  test('zero needs no such channel', async () => {
    const net = new TinyNet();
    net.node(
      'Conv',
      [
        'x',
        net.weight('w1', [5, 3, 3, 3], rows([5, 27], [0, 2])),
        net.weight('b1', [5], (b) => b.set([-1, 0.5, 0, 3, 0.1])),
      ],
      'h',
    );
    net.node('Relu', ['h'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 5, 3, 3])], 'y', { pads: [1, 1, 1, 1] });
    expect((await stripped(net.file(image, ['N', 2, 4, 4]))).removed).toBe(2);
  });

  test('an average that counts the padding changes them too', async () => {
    const net = new TinyNet();
    padded(net);
    net.node('AveragePool', ['r'], 'p', { kernel_shape: [3, 3], pads: [1, 1, 1, 1], count_include_pad: 1 });
    net.node('Conv', ['p', net.weight('w2', [2, 5, 1, 1])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });
});

describe('dead by consumer', () => {
  test('a channel that every consumer multiplies by zero goes', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3]), net.weight('b1', [4])], 'h');
    net.node('Sigmoid', ['h'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 4, 3, 3], columns([2, 4, 9], [1, 2]))], 'a', { pads: [1, 1, 1, 1] });
    net.node('Conv', ['r', net.weight('w3', [2, 4, 1, 1], columns([2, 4, 1], [1, 3]))], 'b');
    net.node('Add', ['a', 'b'], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 4, 4]));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('w2'), dims('w3')]).toEqual([
      [3, 3, 3, 3],
      [2, 3, 3, 3],
      [2, 3, 1, 1],
    ]);
  });

  test('death travels backwards through layers', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1])], 'h');
    net.node('Conv', ['h', net.weight('w2', [3, 4, 1, 1], (d) => d.fill(0, 0, 4 * 2 + 2).fill(1, 8, 10))], 'g');
    net.node('Conv', ['g', net.weight('w3', [2, 3, 1, 1], columns([2, 3, 1], [2]))], 'y');
    const { dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect([dims('w1'), dims('w2')]).toEqual([
      [1, 3, 1, 1],
      [1, 1, 1, 1],
    ]);
  });
});

describe('coupled channels', () => {
  test('a residual channel dies only when all of its producers are dead', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [0, 1]))], 'h', { pads: [1, 1, 1, 1] });
    net.node('Conv', ['h', net.weight('w2', [4, 4, 3, 3], rows([4, 36], [1, 2]))], 'g', { pads: [1, 1, 1, 1] });
    net.node('Add', ['h', 'g'], 's');
    net.node('Relu', ['s'], 'r');
    net.node('Conv', ['r', net.weight('w3', [2, 4, 3, 3])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 4, 4]));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('w2'), dims('w3')]).toEqual([
      [3, 3, 3, 3],
      [3, 3, 3, 3],
      [2, 3, 3, 3],
    ]);
  });

  test('parts of a Concat die on their own', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [3, 3, 1, 1], rows([3, 3], [1])), net.weight('b1', [3])], 'h');
    net.node('Conv', ['x', net.weight('w2', [2, 3, 1, 1], rows([2, 3], [0]))], 'g');
    net.node('Concat', ['h', 'x', 'g'], 'c', { axis: 1 });
    net.node('Conv', ['c', net.weight('w3', [2, 8, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(2);
    expect(dims('w3')).toEqual([2, 6, 1, 1]);
  });

  test('Flatten gives every channel a block of columns', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [2])), net.weight('b1', [4])], 'h');
    net.node('Relu', ['h'], 'r');
    net.node('MaxPool', ['r'], 'p', { kernel_shape: [2, 2], strides: [2, 2] });
    net.node('Flatten', ['p'], 'f');
    net.node('Gemm', ['f', net.weight('w2', [5, 16]), net.weight('b2', [5])], 'y', { transB: 1 });
    const { dims } = await stripped(net.file(image, ['N', 5]));
    expect([dims('w1'), dims('w2')]).toEqual([
      [3, 3, 3, 3],
      [5, 12],
    ]);
  });

  test('a Transpose to NHWC before the Reshape gives every channel a comb of columns', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [2])), net.weight('b1', [4])], 'h');
    net.node('Transpose', ['h'], 't', { perm: [0, 2, 3, 1] });
    net.node('Reshape', ['t', net.ints('shape', [-1, 64])], 'f');
    net.node('MatMul', ['f', net.weight('w2', [64, 5])], 'y');
    const { dims } = await stripped(net.file(image, ['N', 5]));
    expect([dims('w1'), dims('w2')]).toEqual([
      [3, 3, 3, 3],
      [48, 5],
    ]);
  });

  test('a weight that is itself reshaped from height, width and channel follows that comb', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [2]))], 'h');
    net.node('Transpose', ['h'], 't', { perm: [0, 2, 3, 1] });
    net.node('Reshape', ['t', net.ints('shape', [-1, 64])], 'f');
    net.node('Reshape', [net.weight('w2', [4, 4, 4, 5]), net.ints('matrix', [64, 5])], 'm');
    net.node('MatMul', ['f', 'm'], 'y');
    const { dims } = await stripped(net.file(image, ['N', 5]));
    expect([dims('w1'), dims('w2')]).toEqual([
      [3, 3, 3, 3],
      [4, 4, 3, 5],
    ]);
  });

  test('depthwise kernels go with their channels, and the group count follows', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('Conv', ['h', net.weight('wd', [8, 1, 3, 3], rows([8, 9], [4, 5]))], 'd', {
      pads: [1, 1, 1, 1],
      group: 4,
    });
    net.node('Relu', ['d'], 'r');
    net.node('Conv', ['r', net.weight('w2', [2, 8, 1, 1])], 'y');
    const { dims, removed, model } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('wd'), dims('w2')]).toEqual([
      [2, 3, 1, 1],
      [4, 1, 3, 3],
      [2, 4, 1, 1],
    ]);
    expect(Number(model.graph.node[1].attribute.find((a) => a.name === 'group')!.i)).toBe(2);
  });

  test('every group of a grouped convolution loses the same number of channels', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [6, 3, 1, 1], rows([6, 3], [0, 1, 4]))], 'h');
    net.node('Conv', ['h', net.weight('wg', [6, 3, 3, 3], rows([6, 27], [2, 3]))], 'g', {
      group: 2,
      pads: [1, 1, 1, 1],
    });
    net.node('Conv', ['g', net.weight('w2', [2, 6, 1, 1])], 'y');
    const { dims, removed } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(4);
    expect([dims('w1'), dims('wg'), dims('w2')]).toEqual([
      [4, 3, 1, 1],
      [4, 2, 3, 3],
      [2, 4, 1, 1],
    ]);
  });

  test('a transposed convolution has its output channels on the second axis', async () => {
    const net = new TinyNet();
    net.node(
      'ConvTranspose',
      ['x', net.weight('w1', [3, 4, 2, 2], columns([3, 4, 4], [3])), net.weight('b1', [4], rows([4], [3]))],
      'h',
      {
        strides: [2, 2],
      },
    );
    net.node('ConvTranspose', ['h', net.weight('w2', [4, 2, 2, 2])], 'y', { strides: [2, 2] });
    const { dims } = await stripped(net.file(image, ['N', 2, 24, 24]));
    expect([dims('w1'), dims('b1'), dims('w2')]).toEqual([[3, 3, 2, 2], [3], [3, 2, 2, 2]]);
  });

  test('channels made of Slice and Pad (the shortcut without weights) go with those they come from', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [2, 3, 3, 3], rows([2, 27], [0]))], 'h', { pads: [1, 1, 1, 1] });
    const [from, to, axes, steps] = [
      net.ints('from', [0, 0]),
      net.ints('to', [9, 9]),
      net.ints('axes', [2, 3]),
      net.ints('steps', [2, 2]),
    ];
    net.node('Slice', ['h', from, to, axes, steps], 's');
    net.node('Pad', ['s', net.ints('pads', [0, 1, 0, 0, 0, 1, 0, 0])], 'p');
    net.node('Conv', ['h', net.weight('w2', [4, 2, 3, 3], rows([4, 18], [0, 1]))], 'g', {
      pads: [1, 1, 1, 1],
      strides: [2, 2],
    });
    net.node('Add', ['p', 'g'], 'a');
    net.node('Conv', ['a', net.weight('w3', [2, 4, 1, 1])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 3, 3]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('w2'), dims('w3')]).toEqual([
      [1, 3, 3, 3],
      [2, 1, 3, 3],
      [2, 2, 1, 1],
    ]);
  });

  test('a gate follows the channels that it multiplies', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('GlobalAveragePool', ['h'], 'p');
    net.node('Conv', ['p', net.weight('s1', [2, 4, 1, 1]), net.weight('c1', [2])], 'q');
    net.node('Relu', ['q'], 'qr');
    net.node('Conv', ['qr', net.weight('s2', [4, 2, 1, 1]), net.weight('c2', [4])], 'e');
    net.node('Sigmoid', ['e'], 'gate');
    net.node('Mul', ['h', 'gate'], 'm');
    net.node('Conv', ['m', net.weight('w2', [2, 4, 3, 3])], 'y', { pads: [1, 1, 1, 1] });
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect([dims('s1'), dims('s2'), dims('c2')]).toEqual([[2, 3, 1, 1], [3, 2, 1, 1], [3]]);
  });
});

describe('parameters', () => {
  test('a bias that two layers share is told apart; equal cuts still share one', async () => {
    const net = new TinyNet();
    const b = net.constant('b', float32([4], [0, 0, 0, 0]));
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1])), b], 'h');
    net.node('Conv', ['h', net.weight('w2', [4, 4, 1, 1], rows([4, 4], [0])), b], 'g');
    net.node('Conv', ['g', net.weight('w3', [4, 4, 1, 1], rows([4, 4], [0, 2])), b], 'f');
    net.node('Conv', ['f', net.weight('w4', [2, 4, 1, 1])], 'y');
    const { removed, model } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(4);
    expect(model.graph.initializer.filter((t) => t.name!.startsWith('b')).map((t) => t.dims.map(Number))).toEqual([
      [3],
      [2],
    ]);
  });

  test('a weight that two nodes share ties their channels and is cut once', async () => {
    const net = new TinyNet();
    const w = net.weight('w', [4, 4, 1, 1], (d) => {
      rows([4, 4], [1])(d);
      columns([4, 4], [1])(d);
    });
    net.node('Conv', ['x', net.weight('w0', [4, 3, 1, 1])], 'h');
    net.node('Conv', ['h', w], 'g');
    net.node('Conv', ['g', w], 'f');
    net.node('Conv', ['f', net.weight('w2', [2, 4, 1, 1], columns([2, 4], [1]))], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect(dims('w')).toEqual([3, 3, 1, 1]);
  });

  test('weights behind Reshape and Transpose are still those weights', async () => {
    const net = new TinyNet();
    net.node(
      'Conv',
      ['x', net.weight('w1', [4, 3, 5, 5], rows([4, 75], [1])), net.weight('b1', [4], rows([4], [1], 2))],
      'h',
    );
    net.node('Reshape', ['h', net.ints('flat', [-1, 16])], 'f');
    net.node('Reshape', [net.weight('w2', [4, 2, 2, 5]), net.ints('matrix', [16, 5])], 'm');
    net.node('MatMul', ['f', 'm'], 'g');
    net.node('Transpose', [net.weight('w3', [2, 5])], 't', { perm: [1, 0] });
    net.node('MatMul', ['g', 't'], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2]));
    expect(removed).toBe(1);
    expect(dims('w2')).toEqual([3, 2, 2, 5]);
  });

  test('weights in Constant nodes are cut in their place', async () => {
    const net = new TinyNet();
    net.nodes.push(
      makeNode('Constant', [], ['w1'], {
        value: { tensor: makeTensor('', float32([2, 3, 1, 1], [1, 2, 3, 0, 0, 0])) },
      }),
    );
    net.nodes.push(makeNode('Constant', [], ['b1'], { value_floats: { floats: [1, 0] } }));
    net.node('Conv', ['x', 'w1', 'b1'], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 2, 1, 1])], 'y');
    const { removed, model, ops } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect(ops).toEqual(['Constant', 'Constant', 'Conv', 'Conv']);
    expect(model.graph.node[0].attribute[0].t!.dims.map(Number)).toEqual([1, 3, 1, 1]);
  });

  test('initializers that an old file lists as inputs are cut with their entries there', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [1])), net.weight('b1', [4])], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 4, 1, 1])], 'y');
    const { removed, model } = await stripped(net.file(['N', 3, 6, 6], ['N', 2, 4, 4], { opset: 8, irVersion: 3 }));
    expect(removed).toBe(1);
    const listed = model.graph.input.map((i) => i.name).sort();
    expect(listed).toEqual(['x', ...model.graph.initializer.map((t) => t.name!)].sort());
    const w1 = model.graph.input.find((i) => i.name === 'w1')!;
    expect(w1.type!.tensorType!.shape!.dim.map((d) => Number(d.dimValue))).toEqual([3, 3, 3, 3]);
  });

  test('subnormal weights become zero, and what they alone kept alive goes', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3], rows([4, 27], [1], 1e-39))], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 4, 1, 1])], 'y');
    const { removed, flushed } = await stripped(net.file(image, ['N', 2, 4, 4]));
    expect([removed, flushed]).toEqual([1, 27]);
  });
});

describe('limits', () => {
  test('nothing that reaches an input or output of the model is cut', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [2, 3, 1, 1], rows([2, 3], [1]))], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });

  test('an operator without a rule costs compression, not correctness', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('LRN', ['h'], 'l', { size: 3 });
    net.node('Conv', ['l', net.weight('w2', [2, 4, 1, 1])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });

  test('what is asked to be kept stays', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 4, 1, 1])], 'y');
    const file = net.file(image, ['N', 2, 6, 6]);
    expect((await stripped(file, { keep: (name) => name === 'w1' })).removed).toBe(0);
    expect((await stripped(file, { keep: (name) => name === 'h/Conv' })).removed).toBe(0);
    expect((await stripped(file, { keep: (name) => name === 'y' })).removed).toBe(1);
  });

  test('half-precision outputs may differ by one spacing of their numbers, and no more', async () => {
    const [a, b, c] = [1, 1.0004, 1.004].map((scale) => {
      const net = new TinyNet();
      net.node('Conv', ['x', net.weight('w1', [2, 3, 1, 1], (d) => d.set(d.map((x) => x * scale)))], 'h');
      net.node('Cast', ['h'], 'y', { to: 10 });
      return net.file(image, ['N', 2, 6, 6]).model;
    });
    for (const { graph } of [a, b, c]) graph.output = [makeValueInfo('y', 'float16', ['N', 2, 6, 6])];
    const feeds = [{ x: float32([1, 3, 6, 6], new Array<number>(108).fill(1)) }];
    expect((await proveEqual(a, b, feeds)).maxRelative).toBeLessThanOrEqual(2 ** -10);
    await expect(proveEqual(a, c, feeds)).rejects.toThrow(CgesError);
  });

  test('inputs that the model itself does not take prove nothing, and are left out', async () => {
    const net = new TinyNet();
    net.node('Gather', ['x', 'neighbour'], 'g', { axis: 0 });
    net.node('MatMul', ['g', net.weight('w1', [5, 4], columns([5, 4], [1]))], 'h');
    net.node('MatMul', ['h', net.weight('w2', [4, 2])], 'y');
    const file = net.file(['N', 5], ['N', 8, 2]);
    file.model.graph.input.push(makeValueInfo('neighbour', 'int64', ['N', 8]));
    // Whole numbers are drawn from 0 and 1: there is no row 1 of one row.
    const { removed, batches } = await stripped(file);
    expect([removed, batches]).toEqual([1, [3]]);
  });

  test('models that differ are told apart', async () => {
    const [a, b] = [1, 1.001].map((scale) => {
      const net = new TinyNet();
      net.node('Conv', ['x', net.weight('w1', [2, 3, 1, 1], (d) => d.set(d.map((x) => x * scale)))], 'y');
      return net.file(image, ['N', 2, 6, 6]).model;
    });
    const feeds = [
      {
        x: float32(
          [1, 3, 6, 6],
          Array.from({ length: 108 }, (_, i) => Math.sin(i)),
        ),
      },
    ];
    await expect(proveEqual(a, b, feeds)).rejects.toThrow(CgesError);
    expect((await proveEqual(a, a, feeds)).maxRelative).toBeLessThan(1e-6);
  });
});
