import { describe, expect, test } from 'vitest';
import { Attributes } from '../../src/onnx/attributes.js';
import type { ModelProto } from '../../src/onnx/proto.js';
import { float32, type Tensor } from '../../src/tensor/tensor.js';
import { columns, rows, stripped, TinyNet } from './net.js';

const sequence = ['N', 4, 6];

function attributesOf({ graph }: ModelProto, op: string): Attributes {
  return new Attributes(graph.node.find((n) => n.opType === op)!);
}

/** Columns of heads of two. */
function heads(...indices: number[]): number[] {
  return indices.flatMap((h) => [2 * h, 2 * h + 1]);
}

describe('MultiHeadAttention', () => {
  /** Three heads of two between projections. */
  function net(
    dead: Partial<Record<'q' | 'k' | 'v', number[]>>,
    bias?: (data: Float32Array) => void,
    unread: number[] = [],
  ) {
    const net = new TinyNet();
    for (const name of ['q', 'k', 'v'] as const) {
      net.node('MatMul', ['x', net.weight(`w_${name}`, [6, 6], columns([6, 6], dead[name] ?? []))], name);
    }
    const given = bias ? [net.weight('bias', [18], bias)] : [];
    net.node('com.microsoft.MultiHeadAttention', ['q', 'k', 'v', ...given], 'o', { num_heads: 3 });
    net.node('MatMul', ['o', net.weight('w_o', [6, 6], rows([6, 6], unread))], 'y');
    return stripped(net.file(sequence, sequence));
  }

  test('a head goes where its values are zero', async () => {
    const { removed, dims, model } = await net({ v: heads(1) });
    expect(removed).toBe(1);
    expect(['w_q', 'w_k', 'w_v', 'w_o'].map((name) => dims(name))).toEqual([
      [6, 4],
      [6, 4],
      [6, 4],
      [4, 6],
    ]);
    expect(attributesOf(model, 'MultiHeadAttention').int('num_heads')).toBe(2);
  });

  test('a head goes where nothing reads it, its biases too', async () => {
    const { removed, dims } = await net({}, () => {}, heads(0, 2));
    expect(removed).toBe(2);
    expect([dims('w_v'), dims('bias')]).toEqual([[6, 2], [6]]);
  });

  test('a head stays where its values have a bias, where only queries are zero, and where a part of it lives', async () => {
    expect((await net({ v: heads(1) }, () => {})).removed).toBe(0);
    expect((await net({ v: heads(1) }, (b) => b.fill(0, 14, 16))).removed).toBe(1);
    expect((await net({ q: heads(1), k: heads(1) })).removed).toBe(0);
    expect((await net({ v: [2] })).removed).toBe(0);
  });
});

describe('Attention that projects its input', () => {
  function weights(dead: readonly number[]): (data: Float32Array) => void {
    return columns(
      [6, 18],
      dead.map((c) => 12 + c),
    );
  }

  function net(dead: readonly number[], bias: (data: Float32Array) => void, mask = false) {
    const net = new TinyNet();
    const [w, b] = [net.weight('w', [6, 18], weights(dead)), net.weight('b', [18], bias)];
    const scores = mask ? ['', '', net.node('ReduceMean', ['x'], 'scores', { axes: [0, 1, 2] })] : [];
    if (mask) net.node('Expand', ['scores', net.ints('shape', [1, 1, 4, 4])], 'wide');
    const inputs = ['x', w, b, ...scores.slice(0, 2), ...(mask ? ['wide'] : [])];
    net.node('com.microsoft.Attention', inputs, 'o', { num_heads: 3, qkv_hidden_sizes: [6, 6, 6] });
    net.node('MatMul', ['o', net.weight('w_o', [6, 6])], 'y');
    return stripped(net.file(sequence, sequence));
  }

  test.each([false, true])(
    'a head goes where its values are zero (a computed bias on the scores: %s)',
    async (mask) => {
      const { removed, dims, model } = await net(heads(0), (b) => b.fill(0, 12, 14), mask);
      expect(removed).toBe(1);
      expect([dims('w'), dims('b'), dims('w_o')]).toEqual([[6, 12], [12], [4, 6]]);
      const attrs = attributesOf(model, 'Attention');
      expect([attrs.int('num_heads'), attrs.ints('qkv_hidden_sizes')]).toEqual([2, [4, 4, 4]]);
    },
  );

  test('a head stays where a bias or a part of its values lives', async () => {
    expect((await net(heads(0), () => {})).removed).toBe(0);
    expect((await net([0], (b) => b.fill(0, 12, 14))).removed).toBe(0);
  });

  test('quantised: a head goes where its values equal the zero point', async () => {
    const net = new TinyNet();
    net.node('DynamicQuantizeLinear', ['x'], 'q scale zero');
    const numbers = Uint8Array.from({ length: 108 }, (_, i) => (i % 18 >= 16 ? 120 : (i * 37) % 200));
    const w = net.constant('w', { dtype: 'uint8', dims: [6, 18], data: numbers } satisfies Tensor);
    const bias = net.weight('b', [18], (b) => b.fill(0, 16, 18));
    const scale = net.constant('w/scale', float32([1], [0.01]));
    const point = net.constant('w/zero', { dtype: 'uint8', dims: [1], data: Uint8Array.from([120]) });
    net.node('com.microsoft.QAttention', ['q', w, bias, 'scale', scale, '', 'zero', point], 'o', { num_heads: 3 });
    net.node('MatMul', ['o', net.weight('w_o', [6, 6])], 'y');
    const { removed, dims } = await stripped(net.file(sequence, sequence));
    expect(removed).toBe(1);
    expect([dims('w'), dims('b')]).toEqual([[6, 12], [12]]);
  });
});

describe('Attention of opset 23', () => {
  test('heads in rows go whole, with the head of keys and values that they share', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('w_q', [6, 8])], 'q');
    net.node('MatMul', ['x', net.weight('w_k', [6, 4])], 'k');
    net.node('MatMul', ['x', net.weight('w_v', [6, 4], columns([6, 4], [0, 1]))], 'v');
    net.node('Attention', ['q', 'k', 'v'], 'o', { q_num_heads: 4, kv_num_heads: 2 });
    net.node('MatMul', ['o', net.weight('w_o', [8, 6])], 'y');
    const { removed, dims, model } = await stripped(net.file(sequence, sequence, { opset: 23 }));
    expect(removed).toBe(1);
    expect(['w_q', 'w_k', 'w_v', 'w_o'].map((name) => dims(name))).toEqual([
      [6, 4],
      [6, 2],
      [6, 2],
      [4, 6],
    ]);
    const attrs = attributesOf(model, 'Attention');
    expect([attrs.int('q_num_heads'), attrs.int('kv_num_heads')]).toEqual([2, 1]);
  });

  /** Two heads of three, on an axis of their own, rotated or not. */
  function net(dead: Partial<Record<'q' | 'k' | 'v', number[]>>, size = 3, rotated = false) {
    const net = new TinyNet();
    for (const name of ['q', 'k', 'v'] as const) {
      const dims = [6, 2 * size];
      net.node('MatMul', ['x', net.weight(`w_${name}`, dims, columns(dims, dead[name] ?? []))], `${name}0`);
      net.node('Reshape', [`${name}0`, net.ints(`s_${name}`, [0, 4, 2, size])], `${name}1`);
      net.node('Transpose', [`${name}1`], `${name}2`, { perm: [0, 2, 1, 3] });
    }
    if (rotated) {
      const tables = [net.weight('cos', [4, size / 2]), net.weight('sin', [4, size / 2])];
      net.node('Shape', ['x'], 'n', { end: 1 });
      net.node('Concat', ['n', net.ints('four', [4])], 'size', { axis: 0 });
      net.node('Expand', [net.ints('places', [0, 1, 2, 3]), 'size'], 'positions');
      for (const name of ['q', 'k']) net.node('RotaryEmbedding', [`${name}2`, ...tables, 'positions'], `${name}3`);
    }
    const last = rotated ? 3 : 2;
    net.node('Attention', [`q${last}`, `k${last}`, 'v2'], 'o');
    net.node('Transpose', ['o'], 'o1', { perm: [0, 2, 1, 3] });
    net.node('Reshape', ['o1', net.ints('s_o', [0, 4, 2 * size])], 'o2');
    net.node('MatMul', ['o2', net.weight('w_o', [2 * size, 6])], 'y');
    return stripped(net.file(sequence, sequence, { opset: 23 }));
  }

  test('the same dimension of all queries goes with that of all keys, and the scale stays', async () => {
    const { removed, dims, model } = await net({ q: [1, 4] });
    expect(removed).toBe(1);
    expect([dims('w_q'), dims('w_k'), dims('w_v')]).toEqual([
      [6, 4],
      [6, 4],
      [6, 6],
    ]);
    expect(attributesOf(model, 'Attention').float('scale')).toBeCloseTo(1 / Math.sqrt(3), 6);
  });

  test('dimensions of values go, and whole heads', async () => {
    expect((await net({ v: [0, 3] })).dims('w_o')).toEqual([4, 6]);
    const { removed, dims } = await net({ v: [3, 4, 5] });
    expect(removed).toBe(1);
    expect([dims('w_q'), dims('w_v')]).toEqual([
      [6, 3],
      [6, 3],
    ]);
  });

  test('rotated heads go whole, but not a dimension of them', async () => {
    expect((await net({ q: [1, 5] }, 4, true)).removed).toBe(0);
    const { removed, dims } = await net({ v: [4, 5, 6, 7] }, 4, true);
    expect(removed).toBe(1);
    expect([dims('w_q'), dims('w_k'), dims('w_v')]).toEqual([
      [6, 4],
      [6, 4],
      [6, 4],
    ]);
  });
});

describe('GroupQueryAttention', () => {
  function net(packed: boolean, shown = false) {
    const net = new TinyNet();
    const inputs: string[] = [];
    if (packed) {
      // Four heads of queries, two of keys, two of values, of eight channels each; the first one of values is zero.
      const dead = Array.from({ length: 8 }, (_, i) => 48 + i);
      inputs.push(net.node('MatMul', ['x', net.weight('w', [6, 64], columns([6, 64], dead))], 'qkv'), '', '');
    } else {
      const dead = Array.from({ length: 8 }, (_, i) => i);
      inputs.push(net.node('MatMul', ['x', net.weight('w_q', [6, 32])], 'q'));
      inputs.push(net.node('MatMul', ['x', net.weight('w_k', [6, 16])], 'k'));
      inputs.push(net.node('MatMul', ['x', net.weight('w_v', [6, 16], columns([6, 16], dead))], 'v'));
    }
    const length = net.constant('length', { dtype: 'int32', dims: [1], data: Int32Array.from([3]) });
    const total = net.constant('total', { dtype: 'int32', dims: [], data: Int32Array.from([4]) });
    const attributes = { num_heads: 4, kv_num_heads: 2 };
    net.node('com.microsoft.GroupQueryAttention', [...inputs, '', '', length, total], 'o pk pv', attributes);
    const sum = shown ? net.node('ReduceMax', ['pv'], 'm', { keepdims: 0 }) : undefined;
    net.node('MatMul', [sum ? net.node('Mul', ['o', sum], 'p') : 'o', net.weight('w_o', [32, 6])], 'y');
    return net.file([1, 4, 6], [1, 4, 6]);
  }

  test('heads go with the ones of keys and values that they share', async () => {
    const { removed, dims, model } = await stripped(net(false));
    expect(removed).toBe(1);
    expect(['w_q', 'w_k', 'w_v', 'w_o'].map((name) => dims(name))).toEqual([
      [6, 16],
      [6, 8],
      [6, 8],
      [16, 6],
    ]);
    const attrs = attributesOf(model, 'GroupQueryAttention');
    expect([attrs.int('num_heads'), attrs.int('kv_num_heads')]).toEqual([2, 1]);
  });

  test('packed heads too', async () => {
    const { removed, dims } = await stripped(net(true));
    expect([removed, dims('w'), dims('w_o')]).toEqual([1, [6, 32], [16, 6]]);
  });

  test('heads of which something else reads the cache stay', async () => {
    expect((await stripped(net(false, true))).removed).toBe(0);
  });
});
