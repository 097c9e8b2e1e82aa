import { describe, expect, test } from 'vitest';
import { makeGraph, makeNode, makeValueInfo } from '../../src/onnx/make.js';
import { float32ToFloat16 } from '../../src/tensor/half.js';
import { columns, rows, stripped, TinyNet } from './net.js';

const image = ['N', 3, 6, 6];

describe('what is no constant', () => {
  test('a dead channel that another input is added to', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [3, 3, 1, 1], rows([3, 3], [1]))], 'h');
    net.node('Add', ['h', 'x'], 'a');
    net.node('Conv', ['a', net.weight('w2', [2, 3, 1, 1])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });

  test('a dead channel that a map over positions is added to, though it multiplies to zero', async () => {
    const build = (op: 'Add' | 'Mul') => {
      const net = new TinyNet();
      net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
      net.node(op, ['h', net.weight('map', [6, 6])], 'a');
      net.node('Conv', ['a', net.weight('w2', [2, 4, 1, 1])], 'y');
      return net.file(image, ['N', 2, 6, 6]);
    };
    expect((await stripped(build('Add'))).removed).toBe(0);
    expect((await stripped(build('Mul'))).removed).toBe(1);
  });

  test('a channel of a convolution whose bias is computed', async () => {
    const net = new TinyNet();
    net.node('ReduceMax', ['x'], 'm', { axes: [0, 2, 3], keepdims: 0 });
    net.node('Conv', ['x', net.weight('w1', [3, 3, 1, 1], rows([3, 3], [1])), 'm'], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 3, 1, 1], columns([2, 3], [1]))], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });

  test('a channel of which the branches of an If make different numbers', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('ReduceMax', ['x'], 'm', { keepdims: 0 });
    net.node('Cast', ['m'], 'c', { to: 9 });
    const branch = (op: string) =>
      makeGraph({ node: [makeNode(op, ['h'], [`${op}.out`])], output: [makeValueInfo(`${op}.out`, 'float32')] });
    net.node('If', ['c'], 'i', { then_branch: { graph: branch('Relu') }, else_branch: { graph: branch('Exp') } });
    net.node('Conv', ['i', net.weight('w2', [2, 4, 1, 1])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 6, 6]))).removed).toBe(0);
  });
});

describe('constants on their way', () => {
  test('pass through nodes that move channels: Transpose, Split, Slice, Concat', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [6, 3, 1, 1], rows([6, 3], [1, 4])), net.weight('b1', [6])], 'h');
    net.node('Transpose', ['h'], 't', { perm: [0, 2, 3, 1] });
    net.node('Split', ['t', net.ints('sizes', [2, 4])], 'p q', { axis: 3 });
    net.node('Sigmoid', ['q'], 's');
    net.node('Concat', ['s', 'p'], 'c', { axis: 3 });
    net.node('Transpose', ['c'], 'u', { perm: [0, 3, 1, 2] });
    net.node('Conv', ['u', net.weight('w2', [2, 6, 1, 1]), net.weight('b2', [2])], 'y');
    const { removed, dims } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(2);
    expect(dims('w2')).toEqual([2, 4, 1, 1]);
  });

  test('pass through pooling and resizing', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1])), net.weight('b1', [4])], 'h');
    net.node('MaxPool', ['h'], 'm', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    net.node('AveragePool', ['m'], 'a', { kernel_shape: [3, 3], pads: [1, 1, 1, 1] });
    net.node(
      'Resize',
      ['a', '', net.constant('scales', { dtype: 'float32', dims: [4], data: Float32Array.of(1, 1, 2, 2) })],
      'r',
    );
    net.node('GlobalAveragePool', ['r'], 'g');
    net.node('Conv', ['g', net.weight('w2', [2, 4, 1, 1]), net.weight('b2', [2])], 'y');
    expect((await stripped(net.file(image, ['N', 2, 1, 1]))).removed).toBe(1);
  });

  test('fold into float16 weights behind a Cast, which are cut bit by bit', async () => {
    const net = new TinyNet();
    const bits = float32ToFloat16(Float32Array.of(1, 2, 3, 0, 0, 0, -1, 0.1, 0.25));
    net.constant('w1', { dtype: 'float16', dims: [3, 3, 1, 1], data: bits });
    net.node('Cast', ['w1'], 'w1f', { to: 1 });
    net.node('Conv', ['x', 'w1f', net.weight('b1', [3])], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 3, 1, 1]), net.weight('b2', [2])], 'y');
    const { removed, dims, model } = await stripped(net.file(image, ['N', 2, 6, 6]));
    expect(removed).toBe(1);
    expect(dims('w1')).toEqual([2, 3, 1, 1]);
    const raw = model.graph.initializer.find((t) => t.name === 'w1')!.rawData!;
    expect([...new Uint16Array(raw.slice().buffer)]).toEqual([...bits.slice(0, 3), ...bits.slice(6)]);
  });

  test('an embedding loses columns that hold one number', async () => {
    const net = new TinyNet();
    net.node('Cast', ['x'], 'i', { to: 7 });
    const zero = columns([2, 4], [1]);
    net.node('Gather', [net.weight('table', [2, 4], zero), 'i'], 'e');
    net.node('MatMul', ['e', net.weight('w2', [4, 2])], 'y');
    const { removed, dims } = await stripped(net.file(['N', 5], ['N', 5, 2]));
    expect(removed).toBe(1);
    expect(dims('table')).toEqual([2, 3]);
  });

  test('declared shapes of values are corrected', async () => {
    const net = new TinyNet();
    net.node('Conv', ['x', net.weight('w1', [4, 3, 1, 1], rows([4, 3], [1]))], 'h');
    net.node('Conv', ['h', net.weight('w2', [2, 4, 1, 1])], 'y');
    const file = net.file(image, ['N', 2, 6, 6]);
    file.model.graph.valueInfo.push(makeValueInfo('h', 'float32', ['N', 4, 6, 6]));
    const { model } = await stripped(file);
    const dim = model.graph.valueInfo[0].type!.tensorType!.shape!.dim;
    expect(dim.map((d) => d.dimParam || Number(d.dimValue))).toEqual(['N', 3, 6, 6]);
    expect(file.model.graph.valueInfo[0].type!.tensorType!.shape!.dim[1].dimValue).toBe(4);
  });
});
