import { describe, expect, test } from 'vitest';
import { catalogue } from '../../src/errors.js';
import { makeValueInfo } from '../../src/onnx/make.js';
import { tensorOf } from '../../src/onnx/tensors.js';
import { analyse } from '../../src/shape/analyse.js';
import { trainingGraph } from '../../src/shape/normalise.js';
import { proveEqual } from '../../src/prune/prove.js';
import { zeroUnits } from '../../src/prune/zero.js';
import { Random } from '../../src/tensor/random.js';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.js';
import { fileOf, stripped, TinyNet, unitsIn } from './net.js';

/** Quantised weights of a seed; rows (or columns) of the given indices are filled with one number. */
function whole(
  dtype: 'int8' | 'uint8' | 'int32',
  dims: readonly number[],
  { axis = 0, dead = [], at = 0 }: { axis?: number; dead?: readonly number[]; at?: number } = {},
): Tensor {
  const random = new Random(sizeOf(dims));
  const inner = sizeOf(dims.slice(axis + 1));
  const data = Array.from({ length: sizeOf(dims) }, (_, i) => {
    const drawn = Math.floor(random.uniform() * 100) + (dtype === 'uint8' ? 60 : -50);
    return dead.includes(Math.floor(i / inner) % dims[axis]) ? at : drawn;
  });
  if (dtype === 'uint8') return { dtype, dims, data: Uint8Array.from(data) };
  return dtype === 'int8' ? { dtype, dims, data: Int8Array.from(data) } : { dtype, dims, data: Int32Array.from(data) };
}

function point(dtype: 'int8' | 'uint8', at: number): Tensor {
  return { dtype, dims: [], data: dtype === 'int8' ? Int8Array.from([at]) : Uint8Array.from([at]) };
}

/** A net whose numbers have scales and zero points. */
class QuantisedNet extends TinyNet {
  scale(name: string, value: number | readonly number[]): string {
    const list = typeof value === 'number' ? [value] : value;
    return this.constant(name, float32(typeof value === 'number' ? [] : [list.length], [...list]));
  }

  /** Puts QuantizeLinear and DequantizeLinear behind a value. */
  rounded(value: string, scale: number, zero: number): string {
    const parameters = [this.scale(`${value}/scale`, scale), this.constant(`${value}/zero`, point('uint8', zero))];
    this.node('QuantizeLinear', [value, ...parameters], `${value}/q`);
    return this.node('DequantizeLinear', [`${value}/q`, ...parameters], `${value}/dq`);
  }

  /** A weight of whole numbers, behind a DequantizeLinear with a scale per index of an axis. */
  dequantised(name: string, tensor: Tensor, axis: number): string {
    const size = tensor.dims[axis];
    const scale = this.scale(
      `${name}/scale`,
      Array.from({ length: size }, (_, i) => 0.01 + 0.001 * i),
    );
    const zeros = tensor.dtype === 'int32' ? new Int32Array(size) : new Int8Array(size);
    const zero = this.constant(`${name}/zero`, { dtype: tensor.dtype, dims: [size], data: zeros });
    return this.node('DequantizeLinear', [this.constant(name, tensor), scale, zero], `${name}/dq`, { axis });
  }
}

describe('weights and activations behind QuantizeLinear and DequantizeLinear', () => {
  function net(dead: readonly number[]) {
    const q = new QuantisedNet();
    const x = q.rounded('x', 0.05, 128);
    const w1 = q.dequantised('w1', whole('int8', [6, 3, 3, 3], { dead }), 0);
    const b1 = q.dequantised('b1', whole('int32', [6], { dead }), 0);
    q.node('Conv', [x, w1, b1], 'h', { pads: [1, 1, 1, 1] });
    q.node('Relu', ['h'], 'r');
    const r = q.rounded('r', 0.1, 0);
    q.node('Conv', [r, q.dequantised('w2', whole('int8', [4, 6, 3, 3]), 0)], 'g', { pads: [1, 1, 1, 1] });
    q.node('GlobalAveragePool', ['g'], 'p');
    q.node('Flatten', ['p'], 'f');
    q.node('Gemm', [q.rounded('f', 0.1, 100), q.dequantised('w3', whole('int8', [5, 4]), 0)], 'e', { transB: 1 });
    q.node('DequantizeLinear', [q.node('QuantizeLinear', ['e', 'x/scale', 'x/zero'], 'e/q'), 'x/scale', 'x/zero'], 'y');
    return q.file(['N', 3, 6, 6], ['N', 5]);
  }

  test('dead filters go with their scales, zero points and biases, and nothing else moves', async () => {
    const { removed, dims, drift } = await stripped(net([1, 4]));
    expect(removed).toBe(2);
    expect(['w1', 'w1/scale', 'w1/zero', 'b1', 'b1/scale', 'w2', 'w2/scale'].map((name) => dims(name))).toEqual([
      [4, 3, 3, 3],
      [4],
      [4],
      [4],
      [4],
      [4, 4, 3, 3],
      [4],
    ]);
    expect(drift.maxAbsolute).toBe(0);
  });

  test('a zero is written as the zero point, and scales stay', async () => {
    const q = new QuantisedNet();
    const scale = q.scale('scale', [0.01, 0.02, 0.03, 0.04]);
    const zero = q.constant('zero', { dtype: 'uint8', dims: [4], data: Uint8Array.from([120, 130, 140, 150]) });
    const w = q.node('DequantizeLinear', [q.constant('w1', whole('uint8', [3, 4])), scale, zero], 'w', { axis: 1 });
    q.node('MatMul', [q.rounded('x', 0.05, 128), w], 'h');
    q.node('MatMul', [q.rounded('h', 0.05, 100), q.dequantised('w2', whole('int8', [4, 2]), 1)], 'y');
    const file = q.file(['N', 3], ['N', 2]);
    const { channels, families } = await unitsIn(file);
    expect(families.map((f) => [f.name, f.count, f.parts.map((p) => p.parameter)])).toEqual([['h/MatMul', 4, ['w1']]]);
    const { removed, dims, contents } = await stripped(
      fileOf(zeroUnits(channels, families, (_, i) => i === 1 || i === 2)),
    );
    expect(removed).toBe(2);
    expect([dims('w1'), contents('zero'), dims('w2')]).toEqual([
      [3, 2],
      [120, 150],
      [2, 2],
    ]);
  });

  test('a grouped convolution loses the same count in every group', async () => {
    const q = new QuantisedNet();
    const w1 = q.dequantised('w1', whole('int8', [6, 3, 1, 1], { dead: [1, 5] }), 0);
    q.node('Conv', [q.rounded('x', 0.05, 128), w1], 'h');
    q.node('Relu', ['h'], 'r');
    const w2 = q.dequantised('w2', whole('int8', [4, 3, 3, 3]), 0);
    q.node('Conv', [q.rounded('r', 0.05, 0), w2], 'y', { group: 2 });
    const { removed, dims, contents, drift } = await stripped(q.file(['N', 3, 5, 5], ['N', 4, 3, 3]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('w2'), dims('w2/scale')]).toEqual([[4, 3, 1, 1], [4, 2, 3, 3], [4]]);
    // The first group keeps its inputs 0 and 2, the second one 0 and 1.
    const all = whole('int8', [4, 3, 3, 3]).data as Int8Array;
    expect(contents('w2').slice(9, 18)).toEqual([...all.slice(18, 27)]);
    expect(contents('w2').slice(45, 54)).toEqual([...all.slice(63, 72)]);
    expect(drift.maxAbsolute).toBe(0);
  });

  test('what onnxruntime quantises of its own accord is judged as the models are', async () => {
    const q = new QuantisedNet();
    const w1 = q.dequantised('w1', whole('int8', [4, 3, 1, 1], { dead: [1] }), 0);
    q.node('Conv', [q.rounded('x', 0.05, 128), w1], 'h');
    q.node('Relu', ['h'], 'r');
    // A float weight between whole numbers: onnxruntime gives it a scale, which its largest element makes.
    const w2 = q.weight('w2', [4, 2, 2, 2], (data) => data.fill(40, 8, 16));
    q.node('ConvTranspose', [q.rounded('r', 0.05, 0), w2], 'g', { strides: [2, 2] });
    q.node('Identity', [q.rounded('g', 0.02, 120)], 'y');
    const { removed, dims, drift } = await stripped(q.file(['N', 3, 4, 4], ['N', 2, 8, 8]));
    expect([removed, dims('w2')]).toEqual([1, [3, 2, 2, 2]]);
    expect(drift.plain ?? drift.maxRelative).toBeLessThan(1e-5);
  });

  test('weights alone may be quantised', async () => {
    const q = new QuantisedNet();
    q.node('MatMul', ['x', q.dequantised('w1', whole('int8', [3, 4], { axis: 1, dead: [2] }), 1)], 'h');
    q.node('Relu', ['h'], 'r');
    q.node('MatMul', ['r', q.dequantised('w2', whole('int8', [4, 2]), 1)], 'y');
    const { removed, dims } = await stripped(q.file(['N', 3], ['N', 2]));
    expect(removed).toBe(1);
    expect([dims('w1'), dims('w1/scale'), dims('w2')]).toEqual([[3, 3], [3], [3, 2]]);
  });
});

/** [x, scale, zero] of a value in a net of operators on whole numbers. */
type Operand = readonly [string, string, string];

class WholeNet extends QuantisedNet {
  input(): Operand {
    return this.quantise('x', 0.05, 128);
  }

  quantise(value: string, scale: number, zero: number): Operand {
    const own = this.at(value, scale, zero);
    return [this.node('QuantizeLinear', [value, ...own], `${value}/q`), ...own];
  }

  at(value: string, scale: number, zero: number): [string, string] {
    return [this.scale(`${value}/scale`, scale), this.constant(`${value}/zero`, point('uint8', zero))];
  }

  conv(x: Operand, output: string, weight: Tensor, bias: Tensor, attributes: Record<string, number[]> = {}): Operand {
    const [m] = weight.dims;
    const scale = this.scale(
      `${output}/w/scale`,
      Array.from({ length: m }, (_, i) => 0.01 + 0.001 * i),
    );
    const zero = this.constant(`${output}/w/zero`, { dtype: 'int8', dims: [m], data: new Int8Array(m) });
    const own = this.at(output, 0.1, 90);
    const w = [this.constant(`${output}/w`, weight), scale, zero];
    this.node('QLinearConv', [...x, ...w, ...own, this.constant(`${output}/b`, bias)], output, attributes);
    return [output, ...own];
  }

  result([value, scale, zero]: Operand): void {
    this.node('DequantizeLinear', [value, scale, zero], 'y');
  }
}

describe('operators on whole numbers', () => {
  test('QLinearConv: a channel that rests at its zero point is dead, through padding too', async () => {
    const q = new WholeNet();
    const padded = { pads: [1, 1, 1, 1] };
    const dead = [0, 3];
    const h = q.conv(q.input(), 'h', whole('int8', [5, 3, 3, 3], { dead }), whole('int32', [5], { dead }), padded);
    const g = q.conv(h, 'g', whole('int8', [2, 5, 3, 3]), whole('int32', [2]), padded);
    q.result(g);
    const { removed, dims, drift } = await stripped(q.file(['N', 3, 5, 5], ['N', 2, 5, 5]));
    expect(removed).toBe(2);
    expect([dims('h/w'), dims('h/w/scale'), dims('h/b'), dims('g/w')]).toEqual([[3, 3, 3, 3], [3], [3], [2, 3, 3, 3]]);
    expect(drift.maxAbsolute).toBe(0);
  });

  test('QLinearConv: any other constant goes into the next bias, bit by bit, but not through padding', async () => {
    const bias = whole('int32', [5], { dead: [2], at: 2000 });
    for (const pads of [
      [0, 0, 0, 0],
      [1, 1, 1, 1],
    ]) {
      const q = new WholeNet();
      const h = q.conv(q.input(), 'h', whole('int8', [5, 3, 1, 1], { dead: [2] }), bias);
      q.result(q.conv(h, 'g', whole('int8', [2, 5, 3, 3]), whole('int32', [2]), { pads }));
      const { removed, drift, contents } = await stripped(
        q.file(['N', 3, 5, 5], ['N', 2, 3 + 2 * pads[0], 3 + 2 * pads[0]]),
      );
      expect(removed).toBe(pads[0] === 0 ? 1 : 0);
      expect(drift.maxAbsolute).toBe(0);
      const moved = contents('g/b').some((b, i) => b !== whole('int32', [2]).data[i]);
      expect(moved).toBe(pads[0] === 0);
    }
  });

  test('QLinearConv: depthwise channels go with those before them', async () => {
    const q = new WholeNet();
    const h = q.conv(q.input(), 'h', whole('int8', [4, 3, 1, 1], { dead: [1] }), whole('int32', [4], { dead: [1] }));
    const depthwise = whole('int8', [4, 1, 3, 3], { dead: [1] });
    const d = q.conv(h, 'd', depthwise, whole('int32', [4], { dead: [1] }), { group: 4, pads: [1, 1, 1, 1] } as never);
    q.result(q.conv(d, 'g', whole('int8', [2, 4, 1, 1]), whole('int32', [2])));
    const { removed, dims } = await stripped(q.file(['N', 3, 5, 5], ['N', 2, 5, 5]));
    expect(removed).toBe(1);
    expect([dims('d/w'), dims('g/w')]).toEqual([
      [3, 1, 3, 3],
      [2, 3, 1, 1],
    ]);
  });

  test('a sum is dead where both of its operands are, a product where one is', async () => {
    for (const [op, removed] of [
      ['QLinearAdd', 1],
      ['QLinearMul', 3],
    ] as const) {
      const q = new WholeNet();
      const x = q.input();
      const branch = (name: string, dead: number[]) =>
        q.conv(x, name, whole('int8', [4, 3, 1, 1], { dead }), whole('int32', [4], { dead }));
      const [a, b] = [branch('a', [0, 1]), branch('b', [1, 2])];
      const own = q.at('s', 0.2, 100);
      q.node(`com.microsoft.${op}`, [...a, ...b, ...own], 's');
      q.result(q.conv(['s', ...own], 'g', whole('int8', [2, 4, 1, 1]), whole('int32', [2])));
      const result = await stripped(q.file(['N', 3, 4, 4], ['N', 2, 4, 4]));
      expect([op, result.removed, result.dims('g/w')]).toEqual([op, removed, [2, 4 - removed, 1, 1]]);
    }
  });

  test('QLinearConcat, QLinearGlobalAveragePool and QLinearSigmoid pass channels on', async () => {
    const q = new WholeNet();
    const x = q.input();
    const branch = (name: string, dead: number[]) =>
      q.conv(x, name, whole('int8', [3, 3, 1, 1], { dead }), whole('int32', [3], { dead }));
    const [a, b] = [branch('a', [1]), branch('b', [0, 2])];
    const own = q.at('c', 0.15, 95);
    q.node('com.microsoft.QLinearConcat', [...own, ...a, ...b], 'c', { axis: 1 });
    const sharp = q.at('s', 1 / 256, 0);
    q.node('com.microsoft.QLinearSigmoid', ['c', ...own, ...sharp], 's');
    q.node('com.microsoft.QLinearGlobalAveragePool', ['s', ...sharp, ...sharp], 'p', { channels_last: 0 });
    q.result(q.conv(['p', ...sharp], 'g', whole('int8', [2, 6, 1, 1]), whole('int32', [2])));
    const { removed, dims, drift } = await stripped(q.file(['N', 3, 4, 4], ['N', 2, 1, 1]));
    expect(removed).toBe(3);
    expect(dims('g/w')).toEqual([2, 3, 1, 1]);
    expect(drift.maxAbsolute).toBe(0);
  });

  test('a constant that is added is set to its own zero point', async () => {
    const q = new WholeNet();
    const h = q.conv(q.input(), 'h', whole('int8', [4, 3, 1, 1]), whole('int32', [4]));
    const bias = [
      q.constant('b', whole('uint8', [4, 1, 1])),
      q.scale('b/scale', 0.02),
      q.constant('b/zero', point('uint8', 77)),
    ];
    const own = q.at('s', 0.2, 100);
    q.node('com.microsoft.QLinearAdd', [...bias, ...h, ...own], 's');
    q.result(q.conv(['s', ...own], 'g', whole('int8', [2, 4, 1, 1]), whole('int32', [2])));
    const { channels, families } = await unitsIn(q.file(['N', 3, 4, 4], ['N', 2, 4, 4]));
    expect(families.map((f) => f.parts.map((p) => p.parameter))).toEqual([['h/w', 'h/b', 'b']]);
    const model = zeroUnits(channels, families, (_, i) => i === 2);
    const tensor = tensorOf(model.graph.initializer.find((t) => t.name === 'b')!);
    expect(Number(tensor.data[2])).toBe(77);
    expect((await stripped(fileOf(model))).removed).toBe(1);
  });

  test('an output of whole numbers is the same in every bit', async () => {
    const q = new WholeNet();
    const h = q.conv(q.input(), 'h', whole('int8', [4, 3, 1, 1], { dead: [1] }), whole('int32', [4], { dead: [1] }));
    q.conv(h, 'g', whole('int8', [2, 4, 3, 3]), whole('int32', [2]));
    const file = q.file(['N', 3, 4, 4], []);
    file.model.graph.output = [makeValueInfo('g', 'uint8', ['N', 2, 2, 2])];
    const { removed, drift } = await stripped(file);
    expect([removed, drift.outputs, drift.differing]).toEqual([1, ['g'], 0]);
  });

  test('QLinearMatMul and QGemm lose columns with their scales', async () => {
    const q = new WholeNet();
    const x = q.input();
    const scale = q.scale('w1/scale', [0.01, 0.02, 0.03, 0.04]);
    const zero = q.constant('w1/zero', { dtype: 'int8', dims: [4], data: new Int8Array(4) });
    const w1 = q.constant('w1', whole('int8', [3, 4], { axis: 1, dead: [0, 2] }));
    const own = q.at('h', 0.1, 90);
    q.node('QLinearMatMul', [...x, w1, scale, zero, ...own], 'h');
    const w2 = q.constant('w2', whole('int8', [2, 4]));
    const second = [w2, q.scale('w2/scale', 0.01), q.constant('w2/zero', point('int8', 3))];
    q.node('com.microsoft.QGemm', ['h', ...own, ...second, q.constant('b2', whole('int32', [2]))], 'y', { transB: 1 });
    const { removed, dims, drift } = await stripped(q.file(['N', 3], ['N', 2]));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('w1/scale'), dims('w1/zero'), dims('w2')]).toEqual([[3, 2], [2], [2], [2, 2]]);
    expect(drift.maxAbsolute).toBe(0);
  });
});

test('QLinearMatMul of two computed operands: what one of them lacks, the other loses', async () => {
  const q = new WholeNet();
  const x = q.input();
  const side = (name: string, zero: number, dead: number[]): Operand => {
    const own = q.at(name, 0.1, zero);
    const w = [q.constant(`${name}/w`, whole('int8', [3, 5], { axis: 1, dead })), q.scale(`${name}/w/scale`, 0.02)];
    q.node('QLinearMatMul', [...x, ...w, q.constant(`${name}/w/zero`, point('int8', 0)), ...own], name);
    return [name, ...own];
  };
  const [a, b] = [side('a', 90, [2]), side('b', 110, [0])];
  q.node('Transpose', [b[0]], 't', { perm: [0, 2, 1] });
  const own = q.at('s', 0.5, 120);
  q.node('QLinearMatMul', [...a, 't', b[1], b[2], ...own], 's');
  q.result(['s', ...own]);
  const { removed, dims, drift } = await stripped(q.file(['N', 4, 3], ['N', 4, 4]));
  expect(removed).toBe(2);
  expect([dims('a/w'), dims('b/w')]).toEqual([
    [3, 3],
    [3, 3],
  ]);
  expect(drift.maxAbsolute).toBe(0);
});

describe('activations that are quantised by their own range', () => {
  /** x → hidden units of four → DynamicQuantizeLinear → a product of whole numbers. */
  function net(dead: readonly number[], bias: readonly number[] = [0, 0, 0, 0]) {
    const q = new QuantisedNet();
    const w1 = q.constant('w1', float32([3, 4], [1, 0, 0.5, 0, -1, 0.2, 0.7, 0.4, 0.3, 0.6, -0.8, 0.1]));
    const columns = q.initializers[0];
    const data = new Float32Array([1, 0.3, 0.5, 0.9, -1, 0.2, 0.7, 0.4, 0.3, 0.6, -0.8, 0.1]);
    for (const c of dead) for (let r = 0; r < 3; r++) data[4 * r + c] = 0;
    columns.rawData = new Uint8Array(data.buffer);
    q.node('MatMul', ['x', w1], 'm');
    q.node('Add', ['m', q.constant('b1', float32([4], [...bias]))], 'h');
    return q;
  }

  const integer = (q: QuantisedNet) => {
    q.node('DynamicQuantizeLinear', ['h'], 'h/q h/scale h/zero');
    const w2 = q.constant('w2', whole('uint8', [4, 2]));
    q.node('MatMulInteger', ['h/q', w2, 'h/zero', q.constant('w2/zero', point('uint8', 110))], 'i');
    q.node('Cast', ['i'], 'c', { to: 1 });
    q.node('Mul', ['c', q.node('Mul', ['h/scale', q.scale('w2/scale', 0.01)], 'h/s')], 'y');
    return q.file(['N', 3], ['N', 2]);
  };
  const toFloat = (q: QuantisedNet) => {
    q.node('DynamicQuantizeLinear', ['h'], 'h/q h/scale h/zero');
    const w2 = [q.constant('w2', whole('int8', [4, 2])), 'h/scale', q.scale('w2/scale', [0.01, 0.02]), 'h/zero'];
    const zero = q.constant('w2/zero', { dtype: 'int8', dims: [2], data: Int8Array.from([0, 0]) });
    q.node('com.microsoft.MatMulIntegerToFloat', ['h/q', ...w2, zero, q.weight('b2', [2])], 'y');
    return q.file(['N', 3], ['N', 2]);
  };
  const fused = (q: QuantisedNet) => {
    const w2 = [q.constant('w2', whole('uint8', [4, 2])), q.scale('w2/scale', 0.01)];
    q.node('com.microsoft.DynamicQuantizeMatMul', ['h', ...w2, q.constant('w2/zero', point('uint8', 110))], 'y');
    return q.file(['N', 3], ['N', 2]);
  };

  test.each([
    ['MatMulInteger', integer],
    ['MatMulIntegerToFloat', toFloat],
    ['DynamicQuantizeMatMul', fused],
  ] as const)('%s: zeros go, and leave the range alone', async (_, build) => {
    const { removed, dims, drift } = await stripped(build(net([1, 3])));
    expect(removed).toBe(2);
    expect([dims('w1'), dims('b1'), dims('w2')]).toEqual([[3, 2], [2], [2, 2]]);
    expect(drift.maxAbsolute).toBe(0);
  });

  test.each([
    ['MatMulInteger', integer],
    ['MatMulIntegerToFloat', toFloat],
    ['DynamicQuantizeMatMul', fused],
  ] as const)('%s: another constant may be the end of the range, and stays', async (_, build) => {
    const { removed } = await stripped(build(net([1, 3], [0, 50, 0, 0])));
    expect(removed).toBe(1);
  });
});

test.each([
  ['MatMulInteger', [3, 4], 1, ['N', 3]],
  ['ConvInteger', [4, 3, 1, 1], 0, ['N', 3, 2, 2]],
] as const)('%s: weights that equal their zero point make nothing', async (op, shape, axis, input) => {
  const q = new QuantisedNet();
  q.node('DynamicQuantizeLinear', ['x'], 'x/q x/scale x/zero');
  const w1 = q.constant('w1', whole('uint8', shape, { axis, dead: [0, 2], at: 110 }));
  q.node(op, ['x/q', w1, 'x/zero', q.constant('w1/zero', point('uint8', 110))], 'i');
  q.node('Cast', ['i'], 'c', { to: 1 });
  q.node('Mul', ['c', q.node('Mul', ['x/scale', q.scale('w1/scale', 0.01)], 's')], 'm');
  q.node('Relu', ['m'], 'r');
  if (axis === 0) q.node('GlobalAveragePool', ['r'], 'p');
  const flat = axis === 0 ? q.node('Flatten', ['p'], 'f') : 'r';
  q.node('MatMul', [flat, q.weight('w2', [4, 2])], 'y');
  const { removed, dims, drift } = await stripped(q.file(input, ['N', 2]));
  expect([removed, dims('w1')?.[axis], dims('w2')]).toEqual([2, 2, [2, 2]]);
  expect(drift.maxAbsolute).toBe(0);
});

describe('the proof', () => {
  /** One value that is rounded to levels of a tenth, plus an offset before rounding. */
  const model = (offset: number) => {
    const q = new QuantisedNet();
    q.node('Add', ['x', q.constant('offset', float32([], [offset]))], 'h');
    const own = [q.scale('scale', 0.1), q.constant('zero', point('uint8', 128))];
    q.node('DequantizeLinear', [q.node('QuantizeLinear', ['h', ...own], 'q'), ...own], 'y');
    return q.file(['N', 4], ['N', 4]).model;
  };
  const runs = [{ x: float32([1, 4], [0.05, 0.3, -1, 2]) }];

  test('allows a tie that falls otherwise, which is one level', async () => {
    const { maxAbsolute } = await proveEqual(model(1e-4), model(-1e-4), runs);
    expect(maxAbsolute).toBeCloseTo(0.1, 5);
  });

  test('refuses more than a level', async () => {
    await expect(proveEqual(model(0), model(0.2), runs)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  });
});

test('training says in a sentence that there is nothing to train', async () => {
  const q = new WholeNet();
  q.result(q.conv(q.input(), 'g', whole('int8', [2, 3, 1, 1]), whole('int32', [2])));
  const file = q.file(['N', 3, 4, 4], ['N', 2, 4, 4]);
  const failure = trainingGraph(file, await analyse(file), 2);
  await expect(failure).rejects.toMatchObject({ code: 'NOTHING_TO_TRAIN' });
  expect(catalogue.NOTHING_TO_TRAIN.exit).toBe('untrainable');
});
