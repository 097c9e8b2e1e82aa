import { describe, expect, test } from 'vitest';
import type { OnnxFile } from '../../src/onnx/read.js';
import { writeWeight, readWeight, weightsOf } from '../../src/onnx/weights.js';
import { cloneMessage } from '../../src/onnx/schema.js';
import { channelsOf } from '../../src/prune/strip.js';
import { unitsOf } from '../../src/prune/units.js';
import { analyse } from '../../src/shape/analyse.js';
import { float32 } from '../../src/tensor/tensor.js';
import { columns, fileOf, rows, stripped, TinyNet, unitsIn } from './net.js';

type Edit = (data: Float32Array) => void;

const zeroAt =
  (...indices: number[]): Edit =>
  (data) =>
    indices.forEach((i) => (data[i] = 0));

/** A stream of six channels: made, added to, normed by `norm`, read. */
function stream(
  norm: (net: TinyNet, x: string) => void,
  { dead = [1, 4], opset = 17 }: { dead?: number[]; opset?: number } = {},
): OnnxFile {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('made', [3, 6], columns([3, 6], dead))], 'a');
  net.node('Add', ['a', net.weight('bias', [6], zeroAt(...dead))], 'b');
  net.node('Relu', ['b'], 'r');
  net.node('MatMul', ['r', net.weight('more', [6, 6], columns([6, 6], dead))], 'c');
  net.node('Add', ['b', 'c'], 's');
  norm(net, 's');
  net.node('MatMul', ['n', net.weight('read', [6, 2])], 'y');
  return net.file(['N', 5, 3], ['N', 5, 2], { opset });
}

/** Zeroes more of a stripped model: the last index of the given axis of each weight. */
function zeroLast(result: Awaited<ReturnType<typeof stripped>>, parts: Record<string, number>): OnnxFile {
  const model = cloneMessage(result.model);
  for (const weight of weightsOf(model.graph)) {
    const axis = parts[weight.name];
    if (axis === undefined) continue;
    const { dims, data } = readWeight(weight);
    const edited = Float32Array.from(data as Float32Array);
    const last = [
      axis === 0 && dims.length === 1 && parts[`${weight.name}/last`] !== undefined
        ? parts[`${weight.name}/last`]
        : dims[axis] - 1,
    ];
    (axis === 0 ? rows(dims, last) : columns(dims, last))(edited);
    writeWeight(weight, float32(dims, edited));
  }
  return fileOf(model);
}

const counted = (ops: readonly string[], op: string) => ops.filter((o) => o === op).length;

describe('a stream that LayerNormalization reads', () => {
  const normed =
    (scale: Edit = zeroAt(1, 4), shift: Edit = zeroAt(1, 4)) =>
    (net: TinyNet, x: string) =>
      net.node('LayerNormalization', [x, net.weight('scale', [6], scale), net.weight('shift', [6], shift)], 'n');

  test.each([17, 12, 9])('loses channels that are zero, which go on counting (opset %i)', async (opset) => {
    const { removed, dims, ops, drift } = await stripped(stream(normed(), { opset }));
    expect(removed).toBe(2);
    expect([dims('made'), dims('more'), dims('read'), dims('scale')]).toEqual([[3, 4], [4, 4], [4, 2], [6]]);
    expect(ops).toEqual(['MatMul', 'Add', 'Relu', 'MatMul', 'Add', 'Pad', 'LayerNormalization', 'Slice', 'MatMul']);
    expect(drift.maxRelative).toBeLessThan(1e-5);
  });

  test('keeps them where its statistics may not round otherwise', async () => {
    const analysis = await analyse(stream(normed()));
    const familiesOf = (keepNormed: boolean) =>
      unitsOf(channelsOf(analysis, { keepNormed })).families.map((f) => f.count);
    expect([familiesOf(false), familiesOf(true)]).toEqual([[6], []]);
  });

  test('loses more of them later with the same nodes', async () => {
    const first = await stripped(stream(normed()));
    expect((await stripped(fileOf(first.model))).removed).toBe(0);
    const again = zeroLast(first, { made: 1, bias: 0, more: 1, scale: 0, 'scale/last': 3, shift: 0, 'shift/last': 3 });
    const second = await stripped(again);
    expect(second.removed).toBe(1);
    expect([second.dims('made'), second.dims('read'), second.dims('scale')]).toEqual([[3, 3], [3, 2], [6]]);
    expect(second.ops).toEqual(first.ops);
  });

  test('keeps channels that are shifted before it, or scaled behind it', async () => {
    const scaled = await stripped(stream(normed(zeroAt(1), zeroAt(1, 4))));
    expect(scaled.removed).toBe(1);
    const file = stream(normed());
    for (const weight of weightsOf(file.model.graph))
      if (weight.name === 'bias') writeWeight(weight, float32([6], [1, 2, 3, 4, 0, 6]));
    expect((await stripped(file)).removed).toBe(1);
  });

  test('lets a shift behind it go on', async () => {
    const { removed, ops } = await stripped(stream(normed(zeroAt(1, 4), () => {})));
    expect([removed, counted(ops, 'Add')]).toEqual([2, 3]);
  });
});

describe('a LayerNormalization that is written out', () => {
  const spelt =
    (form: 'Div' | 'Reciprocal', more = false) =>
    (net: TinyNet, x: string) => {
      net.node('ReduceMean', [x], 'mean', { axes: [-1] });
      net.node('Sub', [x, 'mean'], 'd');
      net.node('Pow', ['d', net.constant('two', float32([], [2]))], 'squares');
      net.node('ReduceMean', ['squares'], 'variance', { axes: [-1] });
      net.node('Add', ['variance', net.constant('epsilon', float32([], [0.1]))], 'shifted');
      net.node('Sqrt', ['shifted'], 'root');
      if (form === 'Div') net.node('Div', ['d', 'root'], 'normal');
      else net.node('Mul', ['d', net.node('Reciprocal', ['root'], 'inverse')], 'normal');
      net.node('Mul', ['normal', net.weight('scale', [6], zeroAt(1, 4))], 'scaled');
      net.node('Add', ['scaled', net.weight('shift', [6], zeroAt(1, 4))], more ? 'm' : 'n');
      if (more) net.node('Add', ['m', 'd'], 'n');
    };

  test.each(['Div', 'Reciprocal'] as const)(
    'loses channels that are zero, and more of them later (%s)',
    async (form) => {
      const first = await stripped(stream(spelt(form), { opset: 13 }));
      expect([first.removed, first.dims('made'), first.dims('scale'), first.dims('read')]).toEqual([
        2,
        [3, 4],
        [4],
        [4, 2],
      ]);
      expect(['Pad', 'Slice'].map((op) => counted(first.ops, op))).toEqual([1, 1]);
      expect((await stripped(fileOf(first.model))).removed).toBe(0);
      const second = await stripped(zeroLast(first, { made: 1, bias: 0, more: 1, scale: 0, shift: 0 }));
      expect([second.removed, second.dims('read'), second.ops]).toEqual([1, [3, 2], first.ops]);
    },
  );

  test('keeps them where something else reads what is centred', async () => {
    const file = stream(spelt('Div', true), { opset: 13 });
    expect((await stripped(file)).removed).toBe(0);
    expect((await unitsIn(file)).families).toEqual([]);
  });
});

describe('a stream that is normed by its root mean square', () => {
  const spelt = (net: TinyNet, x: string) => {
    net.node('Mul', [x, x], 'squares');
    net.node('ReduceMean', ['squares'], 'mean', { axes: [-1] });
    net.node('Add', ['mean', net.constant('epsilon', float32([], [0.1]))], 'shifted');
    net.node('Sqrt', ['shifted'], 'root');
    net.node('Div', [x, 'root'], 'd');
    net.node('Mul', ['d', net.weight('scale', [6])], 'n');
  };

  test('loses channels that are zero', async () => {
    const first = await stripped(stream(spelt));
    expect(first.removed).toBe(2);
    expect(counted(first.ops, 'Mul')).toBe(3);
    const second = await stripped(zeroLast(first, { made: 1, bias: 0, more: 1 }));
    expect([second.removed, second.ops]).toEqual([1, first.ops]);
  });

  test.each([
    ['SimplifiedLayerNormalization', 17],
    ['RMSNormalization', 23],
  ])('in one node (%s)', async (op, opset) => {
    const norm = (net: TinyNet, x: string) =>
      net.node(op, [x, net.weight('scale', [6])], 'n', { epsilon: { float: 0.1 } });
    const first = await stripped(stream(norm, { opset }));
    expect([first.removed, first.dims('scale')]).toEqual([2, [4]]);
    const second = await stripped(zeroLast(first, { made: 1, bias: 0, more: 1 }));
    expect([second.removed, second.dims('scale'), second.ops]).toEqual([1, [3], first.ops]);
  });
});

describe('fused sums and norms', () => {
  const skip =
    (op: string, bias?: Edit) =>
    (net: TinyNet, x: string): void => {
      const given = [net.weight('scale', [6], zeroAt(1, 4))];
      if (op === 'SkipLayerNormalization') given.push(net.weight('shift', [6], zeroAt(1, 4)));
      if (bias) given.push(net.weight('own', [6], bias));
      net.node(`com.microsoft.${op}`, [x, 'b', ...given], bias ? 'm  _ sum' : 'm');
      if (bias) net.node('Add', ['m', 'sum'], 'n');
      else net.node('Identity', ['m'], 'n');
    };

  test.each(['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization'])('%s loses zero channels', async (op) => {
    expect((await stripped(stream(skip(op)))).removed).toBe(2);
    expect((await stripped(stream(skip(op, zeroAt(1, 4))))).removed).toBe(2);
    expect((await stripped(stream(skip(op, zeroAt(4))))).removed).toBe(1);
  });
});

describe('reductions over channels', () => {
  test.each(['ReduceSum', 'ReduceMean', 'ReduceL1', 'ReduceL2', 'ReduceSumSquare'])('%s loses zeros', async (op) => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('made', [3, 6], columns([3, 6], [1, 4]))], 'a');
    net.node(
      op,
      op === 'ReduceSum' ? ['a', net.ints('axes', [-1])] : ['a'],
      'r',
      op === 'ReduceSum' ? {} : { axes: [-1] },
    );
    net.node('Add', ['x', 'r'], 'y');
    const { removed, ops } = await stripped(net.file(['N', 3], ['N', 3]));
    expect([removed, counted(ops, 'Mul')]).toEqual([2, op === 'ReduceMean' ? 1 : 0]);
  });

  test('ReduceMax does not', async () => {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('made', [3, 6], columns([3, 6], [1, 4]))], 'a');
    net.node('ReduceMax', ['a'], 'r', { axes: [-1] });
    net.node('Add', ['x', 'r'], 'y');
    expect((await stripped(net.file(['N', 3], ['N', 3]))).removed).toBe(0);
  });
});

describe('constants that are summed over', () => {
  /** A learnt query, the same for all samples: its channels are read by a matrix. */
  function net(query: Edit) {
    const net = new TinyNet();
    net.node('MatMul', ['x', net.weight('made', [3, 4], columns([3, 4], [1]))], 'keys');
    net.node('MatMul', [net.weight('query', [1, 4], query), net.weight('read', [4, 4])], 'q');
    net.node('MatMul', ['keys', 'read2'], 'k');
    net.weight('read2', [4, 4]);
    net.node('Add', ['keys', net.constant('zeros', float32([4], [0, 0, 0, 0]))], 's');
    net.node('Mul', ['k', 'q'], 'm');
    net.node('Add', ['m', 's'], 'n');
    net.node('ReduceSum', ['n', net.ints('axes', [-1])], 'y');
    return net.file(['N', 3], ['N', 1]);
  }

  test('keep what is not zero', async () => {
    expect((await stripped(net(() => {}))).drift.maxRelative).toBeLessThan(1e-5);
    expect((await stripped(net(zeroAt(1)))).drift.maxRelative).toBeLessThan(1e-5);
  });
});
