import { describe, expect, test } from 'vitest';
import { unitsOf } from '../../src/prune/units.js';
import { zeroUnits } from '../../src/prune/zero.js';
import { fileOf, stripped, TinyNet, unitsIn } from './net.js';

/** Two convolutions with a norm between them, a residual sum and a dense layer behind. */
function residualNet() {
  const net = new TinyNet();
  net.node('Conv', ['x', net.weight('w1', [4, 3, 3, 3])], 'h', { pads: [1, 1, 1, 1] });
  const norm = [net.weight('scale', [4]), net.weight('shift', [4]), net.weight('mean', [4])];
  net.node('BatchNormalization', ['h', ...norm, net.weight('var', [4], (d) => d.fill(1))], 'n');
  net.node('Conv', ['n', net.weight('w2', [6, 4, 3, 3]), net.weight('b2', [6])], 'g', { pads: [1, 1, 1, 1] });
  net.node('Conv', ['x', net.weight('w3', [6, 3, 1, 1])], 's');
  net.node('Add', ['g', 's'], 'a');
  net.node('Flatten', ['a'], 'f');
  net.node('Gemm', ['f', net.weight('w4', [5, 24]), net.weight('b4', [5])], 'y', { transB: 1 });
  return net.file(['N', 3, 2, 2], ['N', 5]);
}

describe('families of units', () => {
  test('name all that makes a unit, all that reads it, and what it costs', async () => {
    const { families } = await unitsIn(residualNet());
    const shown = families.map((f) => ({
      name: f.name,
      count: f.count,
      parts: f.parts.map((p) => `${p.parameter}.${p.axis}`),
      consumers: f.consumers.map((p) => `${p.parameter}.${p.axis}`),
      size: f.sizes[0],
      parameters: f.parameters[0],
    }));
    expect(shown).toEqual([
      {
        name: 'h/Conv',
        count: 4,
        parts: ['w1.0', 'scale.0', 'shift.0'],
        consumers: ['w2.1'],
        size: 27 + 2,
        parameters: 27 + 2 + 54,
      },
      {
        name: 'g/Conv + s/Conv',
        count: 6,
        parts: ['w2.0', 'b2.0', 'w3.0'],
        consumers: ['w4.1'],
        size: 36 + 1 + 3,
        parameters: 36 + 1 + 3 + 20,
      },
    ]);
    expect([...families[1].parts[0].map]).toEqual([0, 1, 2, 3, 4, 5]);
    expect([...families[1].consumers[0].map].slice(0, 9)).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2]);
    expect(families[0].macs[0]).toBeGreaterThan(0);
  });

  test('no element of a parameter belongs to two units', async () => {
    const { families } = await unitsIn(residualNet());
    const axes = new Map<string, number>();
    for (const { parameter, axis } of families.flatMap((f) => f.parts)) {
      expect(axes.get(parameter) ?? axis).toBe(axis);
      axes.set(parameter, axis);
    }
  });

  test('say what pins the channels that cannot go', async () => {
    const { pinned } = await unitsIn(residualNet());
    expect(pinned).toEqual([
      { node: 'y/Gemm', count: 5, of: 5, by: { node: 'y', op: '', why: 'it is an output of the model' } },
    ]);
  });

  test('only what is trained counts as making a unit, where that is told', async () => {
    const { channels } = await unitsIn(residualNet());
    const { families } = unitsOf(channels, (name) => ['w1', 'w2', 'b2', 'w4'].includes(name));
    expect(families.map((f) => f.parts.map((p) => p.parameter))).toEqual([['w1'], ['w2', 'b2']]);
  });

  test('units that are set to zero go in the next strip', async () => {
    const { channels, families } = await unitsIn(residualNet());
    const zeroed = zeroUnits(channels, families, (f, i) => (f === families[0] ? i !== 2 : i % 2 === 0));
    const { dims, removed } = await stripped(fileOf(zeroed));
    expect(removed).toBe(6);
    expect([dims('w1'), dims('scale'), dims('w2'), dims('w3'), dims('w4')]).toEqual([
      [1, 3, 3, 3],
      [1],
      [3, 1, 3, 3],
      [3, 3, 1, 1],
      [5, 12],
    ]);
  });
});

test('a constant that channels are divided by is none of what makes them', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w1', [5, 4])], 'h');
  net.node('Div', ['h', net.weight('width', [4])], 'd');
  net.node('MatMul', ['d', net.weight('w2', [4, 3])], 'y');
  const file = net.file(['N', 5], ['N', 3]);
  const { channels, families } = await unitsIn(file);
  expect(families.map((f) => f.parts.map((p) => `${p.parameter}.${p.axis}`))).toEqual([['w1.1']]);
  const { removed, dims } = await stripped(fileOf(zeroUnits(channels, families, (_, unit) => unit < 2)));
  expect([removed, dims('width')]).toEqual([2, [2]]);
});

test('squares of a weight that the norm under a style is computed from are none of what makes its units', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w', [5, 4])], 'h');
  net.node('Mul', ['x', 'x'], 'style');
  net.node('Unsqueeze', ['style', net.ints('axis', [2])], 's');
  net.node('Mul', ['s', net.weight('squares', [5, 4], (data) => data.fill(0.5))], 'terms');
  net.node('ReduceSum', ['terms', net.ints('one', [1])], 'sum', { keepdims: 0 });
  net.node('Sqrt', ['sum'], 'norm');
  net.node('Reciprocal', ['norm'], 'inverse');
  net.node('Mul', ['h', 'inverse'], 'd');
  net.node('MatMul', ['d', net.weight('w2', [4, 3])], 'y');
  const file = net.file(['N', 5], ['N', 3]);
  const { channels, families } = await unitsIn(file);
  expect(families.map((f) => f.parts.map((p) => `${p.parameter}.${p.axis}`))).toEqual([['w.1']]);
  const { removed, dims } = await stripped(fileOf(zeroUnits(channels, families, (_, unit) => unit < 2)));
  expect([removed, dims('squares')]).toEqual([2, [5, 2]]);
});

test('a weight that is divided by its own norm is zeroed by its gain, for at zero it would be no number', async () => {
  const net = new TinyNet();
  net.weight('v', [4, 5]);
  net.node('ReduceL2', ['v'], 'norm', { axes: [1], keepdims: 1 });
  net.node('Div', ['v', 'norm'], 'direction');
  net.node('Mul', ['direction', net.weight('gain', [4, 1])], 'w');
  net.node('Transpose', ['w'], 'wt', { perm: [1, 0] });
  net.node('MatMul', ['x', 'wt'], 'h');
  net.node('MatMul', ['h', net.weight('w2', [4, 3])], 'y');
  const file = net.file(['N', 5], ['N', 3]);
  const { channels, families } = await unitsIn(file);
  expect(families.map((f) => f.parts.map((p) => `${p.parameter}.${p.axis}`))).toEqual([['gain.0']]);
  const zeroed = fileOf(zeroUnits(channels, families, (_, unit) => unit < 2));
  const { removed, drift, dims } = await stripped(zeroed);
  expect([removed, drift.maxRelative < 1e-5]).toEqual([2, true]);
  expect([dims('v'), dims('gain'), dims('w2')]).toEqual([
    [2, 5],
    [2, 1],
    [2, 3],
  ]);
});

test('outputs without a single number prove nothing', async () => {
  const net = new TinyNet();
  net.node('MatMul', ['x', net.weight('w1', [5, 4], (d) => d.fill(Number.NaN))], 'h');
  net.node('MatMul', ['h', net.weight('w2', [4, 3])], 'y');
  await expect(stripped(net.file(['N', 5], ['N', 3]))).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
});
