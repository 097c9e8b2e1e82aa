import { describe, expect, test } from 'vitest';
import { Attributes } from '../../src/onnx/attributes.js';
import type { AttributeValue } from '../../src/onnx/attributes.js';
import type { OnnxFile } from '../../src/onnx/read.js';
import { zeroUnits } from '../../src/prune/zero.js';
import { float32 } from '../../src/tensor/tensor.js';
import { columns, rows, stripped, TinyNet, unitsIn } from './net.js';

const gates: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 };

/** Adds a recurrent layer whose weights are called `<name>.w`, `.r` and `.b`; @returns its first output. */
function layer(
  net: TinyNet,
  op: string,
  x: string,
  name: string,
  [inputs, hidden]: readonly [number, number],
  attributes: Readonly<Record<string, AttributeValue>> = {},
  more: readonly string[] = [],
  outputs = `${name}.y`,
): string {
  const rows = gates[op] * hidden;
  const directions = attributes.direction === 'bidirectional' ? 2 : 1;
  const weights = [
    net.weight(`${name}.w`, [directions, rows, inputs]),
    net.weight(`${name}.r`, [directions, rows, hidden]),
    net.weight(`${name}.b`, [directions, 2 * rows]),
  ];
  net.node(op, [x, ...weights, '', ...more], outputs, { hidden_size: hidden, ...attributes });
  return outputs.split(' ')[0];
}

/** Zeroes some units of every family of a layer, strips, and reads off what is left. */
async function without(file: OnnxFile, units: Readonly<Record<string, readonly number[]>>) {
  const { channels, families } = await unitsIn(file);
  const zeroed = zeroUnits(channels, families, (f, i) => units[f.name]?.includes(i) ?? false);
  const result = await stripped({ ...file, model: zeroed });
  const hidden = result.model.graph.node.flatMap((n) => new Attributes(n).int('hidden_size') ?? []);
  return { ...result, hidden, families, inputs: result.model.graph.node.map((n) => n.input) };
}

/** [N, 5, 4] → steps first → … → samples first. */
function tagger(net: TinyNet, between: (x: string) => string, width: number): OnnxFile {
  net.node('Transpose', ['x'], 't', { perm: [1, 0, 2] });
  const y = between('t');
  net.node('Transpose', [y], 'u', { perm: [2, 0, 1, 3] });
  net.node('Reshape', ['u', net.ints('shape', [0, 5 * width])], 'flat');
  net.node('Gemm', ['flat', net.weight('fc', [5 * width, 3]), net.weight('fc.b', [3])], 'y');
  return net.file(['N', 5, 4], ['N', 3]);
}

describe('units that are zeroed go', () => {
  test('from an LSTM before Transpose, Reshape and Gemm', async () => {
    const net = new TinyNet();
    const file = tagger(net, (x) => layer(net, 'LSTM', x, 'a', [4, 6]), 6);
    const { families, removed, dims, hidden } = await without(file, { 'a.y/LSTM': [1, 4, 5] });
    expect(families.map((f) => [f.name, f.count, f.parts.map((p) => p.parameter)])).toEqual([
      ['a.y/LSTM', 6, ['a.w', 'a.r', 'a.b']],
    ]);
    expect(families[0].consumers.map((p) => [p.parameter, p.axis])).toEqual([
      ['a.r', 2],
      ['fc', 0],
    ]);
    expect(removed).toBe(3);
    expect(hidden).toEqual([3]);
    expect(['a.w', 'a.r', 'a.b', 'fc'].map(dims)).toEqual([
      [1, 12, 4],
      [1, 12, 3],
      [1, 24],
      [15, 3],
    ]);
  });

  test('from both directions at once', async () => {
    const net = new TinyNet();
    const file = tagger(net, (x) => layer(net, 'LSTM', x, 'a', [4, 5], { direction: 'bidirectional' }), 10);
    const { removed, dims, hidden } = await without(file, { 'a.y/LSTM': [0, 3] });
    expect(removed).toBe(2);
    expect(hidden).toEqual([3]);
    expect(['a.w', 'a.r', 'a.b', 'fc'].map(dims)).toEqual([
      [2, 12, 4],
      [2, 12, 3],
      [2, 24],
      [30, 3],
    ]);
  });

  test.each(['LSTM', 'GRU', 'RNN'])(
    'from layers of %s one after the other, with the columns that read them',
    async (op) => {
      const net = new TinyNet();
      const axes = net.ints('axes', [1]);
      const file = tagger(
        net,
        (x) => {
          net.node('Squeeze', [layer(net, op, x, 'a', [4, 6]), axes], 's');
          return layer(net, op, 's', 'b', [6, 5], { direction: 'reverse' });
        },
        5,
      );
      const { removed, dims, hidden } = await without(file, { [`a.y/${op}`]: [0, 2], [`b.y/${op}`]: [4] });
      expect(removed).toBe(3);
      expect(hidden).toEqual([4, 4]);
      expect(dims('b.w')).toEqual([1, 4 * gates[op], 4]);
    },
  );

  test.each([0, 1])('from a GRU with linear_before_reset = %i that is read at its end', async (linear_before_reset) => {
    const net = new TinyNet();
    net.node('Transpose', ['x'], 't', { perm: [1, 0, 2] });
    layer(net, 'GRU', 't', 'a', [4, 6], { linear_before_reset, direction: 'bidirectional' }, [], 'a.y h');
    net.node('Transpose', ['h'], 'u', { perm: [1, 0, 2] });
    net.node('Flatten', ['u'], 'flat');
    net.node('Gemm', ['flat', net.weight('fc', [12, 3])], 'y');
    const { removed, dims, hidden } = await without(net.file(['N', 5, 4], ['N', 3]), { 'a.y h/GRU': [1, 2, 3] });
    expect(removed).toBe(3);
    expect(hidden).toEqual([3]);
    expect(dims('fc')).toEqual([6, 3]);
  });
});

describe('dead units', () => {
  test('an LSTM unit is dead where its candidate is zero, whatever its gates do', async () => {
    const net = new TinyNet();
    const file = tagger(net, (x) => layer(net, 'LSTM', x, 'a', [4, 4]), 4);
    const zero = (name: string, columns: number, rows: readonly number[]) => {
      const data = new Float32Array(net.initializers.find((t) => t.name === name)!.rawData!.buffer);
      for (const r of rows) data.fill(0, r * columns, (r + 1) * columns);
    };
    zero('a.w', 4, [14]);
    zero('a.r', 4, [14]);
    zero('a.b', 1, [14, 30]);
    const { removed, dims } = await stripped(file);
    expect(removed).toBe(1);
    expect(dims('a.r')).toEqual([1, 12, 3]);
  });

  test('a bias alone keeps a unit alive', async () => {
    const net = new TinyNet();
    const file = tagger(net, (x) => layer(net, 'RNN', x, 'a', [4, 4]), 4);
    for (const name of ['a.w', 'a.r']) {
      new Float32Array(net.initializers.find((t) => t.name === name)!.rawData!.buffer).fill(0, 0, 4);
    }
    expect((await stripped(file)).removed).toBe(0);
  });

  test('a unit that only units without readers read goes with them', async () => {
    const net = new TinyNet();
    const file = tagger(net, (x) => layer(net, 'GRU', x, 'a', [4, 4]), 4);
    // Unit 1 is read by nothing behind and by unit 2 alone, which in turn is read by unit 1 alone.
    const fc = new Float32Array(net.initializers.find((t) => t.name === 'fc')!.rawData!.buffer);
    for (let step = 0; step < 5; step++) fc.fill(0, (step * 4 + 1) * 3, (step * 4 + 3) * 3);
    const r = new Float32Array(net.initializers.find((t) => t.name === 'a.r')!.rawData!.buffer);
    for (let row = 0; row < 12; row++) if (row % 4 === 0 || row % 4 === 3) r.fill(0, row * 4 + 1, row * 4 + 3);
    const { removed, dims } = await stripped(file);
    expect(removed).toBe(2);
    expect(dims('a.r')).toEqual([1, 6, 2]);
  });

  test('a unit that starts from anything else than zero stays', async () => {
    const net = new TinyNet();
    net.constant('c0', float32([1, 1, 4], [0, 0.5, 0, 0]));
    net.constant('h0', float32([1, 1, 4], [0, 0, 0.5, 0]));
    net.node('Transpose', ['x'], 't', { perm: [1, 0, 2] });
    layer(net, 'LSTM', 't', 'a', [4, 4], {}, ['h0', 'c0']);
    net.node('Reshape', ['a.y', net.ints('shape', [1, 20])], 'flat');
    net.node('Gemm', ['flat', net.weight('fc', [20, 3])], 'y');
    const { removed, dims, hidden } = await without(net.file([1, 5, 4], [1, 3]), { 'a.y/LSTM': [0, 1, 2] });
    expect(removed).toBe(1);
    expect(hidden).toEqual([3]);
    expect(dims('h0')).toEqual([1, 1, 3]);
  });

  test('a unit whose state is an output of the model stays', async () => {
    const net = new TinyNet();
    layer(net, 'GRU', 'x', 'a', [4, 4], {}, [], 'a.y y');
    const { removed } = await without(net.file([5, 'N', 4], [1, 'N', 4]), {});
    expect(removed).toBe(0);
  });
});

test('input channels that nothing reads go, and those that hold a constant stay', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('p', [4, 6])], 'e');
  net.node('Add', ['e', net.weight('p.b', [6])], 'f');
  const y = layer(net, 'LSTM', 'f', 'a', [6, 4]);
  net.node('ReduceMean', [y], 'm', { axes: [0, 1], keepdims: 0 });
  net.node('Gemm', ['m', net.weight('fc', [4, 3])], 'y');
  const w = new Float32Array(net.initializers.find((t) => t.name === 'a.w')!.rawData!.buffer);
  for (let row = 0; row < 16; row++) w[row * 6 + 2] = 0;
  const p = new Float32Array(net.initializers.find((t) => t.name === 'p')!.rawData!.buffer);
  for (let row = 0; row < 4; row++) p[row * 6 + 5] = 0;
  const { removed, dims } = await stripped(net.file([5, 'N', 4], ['N', 3]));
  expect(removed).toBe(1);
  expect([dims('p'), dims('a.w')]).toEqual([
    [4, 5],
    [1, 16, 5],
  ]);
});

test('of a layer that is dead altogether, one unit stays', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('p', [4, 6], (d) => d.fill(0))], 'e');
  net.node('Add', ['e', net.weight('p.b', [6])], 'f');
  const y = layer(net, 'LSTM', 'f', 'a', [6, 4]);
  net.node('ReduceMean', [y], 'm', { axes: [0, 1], keepdims: 0 });
  net.node('Gemm', ['m', net.weight('fc', [4, 3])], 'y');
  const file = net.file([5, 'N', 4], ['N', 3]);
  const { hidden, dims } = await without(file, { 'a.y/LSTM': [0, 1, 2, 3] });
  expect(hidden).toEqual([1]);
  expect(dims('a.w')).toEqual([1, 4, 1]);
});

test('initial states of zeros tie nothing together and are left out after a cut', async () => {
  const net = new TinyNet();
  net.node('Transpose', ['x'], 't', { perm: [1, 0, 2] });
  net.node('Shape', ['x'], 'sizes');
  net.node('Gather', ['sizes', net.ints('first', [0])], 'batch');
  net.node('Concat', [net.ints('layers', [2]), 'batch', net.ints('hidden', [4])], 'state.shape', { axis: 0 });
  net.node('ConstantOfShape', ['state.shape'], 'state');
  const [zero, one, two] = [net.ints('0', [0]), net.ints('1', [1]), net.ints('2', [2])];
  net.node('Slice', ['state', zero, one, zero], 's0');
  net.node('Slice', ['state', one, two, zero], 's1');
  layer(net, 'LSTM', 't', 'a', [4, 4], {}, ['s0', 's0']);
  net.node('Squeeze', ['a.y', one], 's');
  layer(net, 'LSTM', 's', 'b', [4, 4], {}, ['s1', 's1'], 'b.y b.h b.c');
  net.node('Squeeze', ['b.c', zero], 'c');
  net.node('Gemm', ['c', net.weight('fc', [4, 3])], 'y');
  const file = net.file(['N', 5, 4], ['N', 3]);
  const { removed, hidden, inputs, ops } = await without(file, { 'a.y/LSTM': [0], 'b.y b.h b.c/LSTM': [1, 2] });
  expect(removed).toBe(3);
  expect(hidden).toEqual([3, 2]);
  expect(inputs.filter((i) => i.includes('a.w') || i.includes('b.w')).map((i) => i.slice(5))).toEqual([
    ['', ''],
    ['', ''],
  ]);
  expect(ops).toEqual(['Transpose', 'LSTM', 'Squeeze', 'LSTM', 'Squeeze', 'Gemm']);
});

test('a cell written out step by step from a state of zeros loses the units that its shared weights leave at zero', async () => {
  const net = new TinyNet();
  net.node('Shape', ['x'], 'sizes');
  net.node('Gather', ['sizes', net.ints('first', [0])], 'batch');
  net.node('Concat', ['batch', net.ints('hidden', [4])], 'state.shape', { axis: 0 });
  net.node('ConstantOfShape', ['state.shape'], 'h0');
  const [w, b] = [net.weight('w', [3, 4], columns([3, 4], [2])), net.weight('b', [4], rows([4], [2]))];
  const [r, c] = [net.weight('r', [4, 4], columns([4, 4], [2])), net.weight('c', [4], rows([4], [2]))];
  for (const [from, to] of [
    ['h0', 'h1'],
    ['h1', 'h2'],
  ]) {
    net.node('Gemm', ['x', w, b], `${to}.x`);
    net.node('Gemm', [from, r, c], `${to}.h`);
    net.node('Add', [`${to}.x`, `${to}.h`], `${to}.sum`);
    net.node('Tanh', [`${to}.sum`], to);
  }
  net.node('Gemm', ['h2', net.weight('fc', [4, 2])], 'y');
  const { removed, dims } = await stripped(net.file(['N', 3], ['N', 2]));
  expect(removed).toBe(1);
  expect([dims('w'), dims('r'), dims('fc')]).toEqual([
    [3, 3],
    [3, 3],
    [3, 2],
  ]);
});
