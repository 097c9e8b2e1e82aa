import { broadcastShape } from '../../../onnx/builder.js';
import { sizeOf } from '../../../tensor/tensor.js';
import { type Kernel, type Kernels, lacks, type PlannedNode } from '../kernel.js';
import { isPlain, plain } from '../order.js';
import type { Planner } from '../planner.js';
import type { Slot } from '../program.js';

/** Matrix products. Operands that lie transposed are multiplied as they are. */

interface Matrix {
  readonly slot: Slot;
  /** The two axes lie the other way round. */
  readonly turned: boolean;
  /** As the product sees it. */
  readonly shape: readonly number[];
}

/** @param flip the product takes the operand transposed */
function matrix(p: Planner, name: string, flip = false): Matrix {
  const own = p.shape(name);
  const rank = own.length;
  const shape = flip ? swapped(own) : own;
  const crossed = [...plain(rank - 2), rank - 1, rank - 2];
  const order = p.order(name);
  const turned = !isPlain(own, order) && order.every((axis, i) => axis === crossed[i]);
  return { slot: p.read(name, turned ? crossed : plain(rank)), turned: turned !== flip, shape };
}

function swapped(shape: readonly number[]): number[] {
  return [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!];
}

function product(p: Planner, a: Matrix, b: Matrix): Slot {
  const [rows, columns] = [a.shape.at(-2)!, b.shape.at(-1)!];
  const [left, right] = [a.shape.length, b.shape.length];
  if (left === 2 && right === 2) {
    return p.op('MatMul', [a.slot, b.slot], [rows, columns], { transpose_a: a.turned, transpose_b: b.turned });
  }
  if (right === 2 && !a.turned) {
    const lead = a.shape.slice(0, -2);
    const flat = p.reshape(a.slot, [sizeOf(lead) * rows, a.shape.at(-1)!]);
    const y = p.op('MatMul', [flat, b.slot], [flat.shape[0], columns], { transpose_b: b.turned });
    return p.reshape(y, [...lead, rows, columns]);
  }
  const lead = broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2));
  const turns = { adj_x: a.turned, adj_y: b.turned };
  return p.op('BatchMatMulV2', [a.slot, b.slot], [...lead, rows, columns], turns);
}

const matMul: Kernel = (p, { inputs: [a, b], outputs: [output] }) => {
  lacks(p.kind(a) !== 'float32', 'MatMul of integers');
  const single = (name: string, row: boolean): Matrix => {
    const shape = p.shape(name);
    if (shape.length > 1) return matrix(p, name);
    const wide = row ? [1, shape[0]] : [shape[0], 1];
    return { slot: p.reshape(p.read(name), wide), turned: false, shape: wide };
  };
  const y = product(p, single(a, true), single(b, false));
  p.give(output, p.reshape(y, p.shape(output)));
};

const gemm: Kernel = (p, { inputs: [a, b, c], outputs: [output], attrs }) => {
  const [alpha, beta] = [attrs.float('alpha', 1), attrs.float('beta', 1)];
  const turned = (name: string, which: string): Matrix => matrix(p, name, attrs.int(which, 0) !== 0);
  let y = product(p, turned(a, 'transA'), turned(b, 'transB'));
  if (alpha !== 1) y = p.op('Mul', [y, p.float(alpha)], y.shape);
  if (c && beta !== 0) {
    const plainC = p.read(c, plain(p.shape(c).length));
    const scaled = beta === 1 ? plainC : p.op('Mul', [plainC, p.float(beta)], plainC.shape);
    y = p.op('AddV2', [y, scaled], y.shape);
  }
  p.give(output, y);
};

const fusedMatMul: Kernel = (p, node: PlannedNode) => {
  const { inputs, outputs, attrs } = node;
  lacks(attrs.int('transBatchA', 0) !== 0 || attrs.int('transBatchB', 0) !== 0, 'FusedMatMul with turned batches');
  const turned = (i: number, which: string): Matrix => matrix(p, inputs[i], attrs.int(which, 0) !== 0);
  const y = product(p, turned(0, 'transA'), turned(1, 'transB'));
  const alpha = attrs.float('alpha', 1);
  p.give(outputs[0], alpha === 1 ? y : p.op('Mul', [y, p.float(alpha)], y.shape));
};

const einsum: Kernel = (p, { inputs, outputs, attrs }) => {
  const equation = attrs.string('equation', '').replaceAll(' ', '');
  const terms = equation.split('->')[0];
  const implicit = [...new Set(terms.replace(/[^A-Za-z]/g, ''))].filter((l) => terms.split(l).length === 2).sort();
  const whole = equation.includes('->')
    ? equation
    : `${equation}->${terms.includes('...') ? '...' : ''}${implicit.join('')}`;
  lacks(inputs.length > 2, 'Einsum of more than two operands');
  const slots = inputs.map((name) => p.read(name, plain(p.shape(name).length)));
  const how = { equation: whole, N: slots.length, T: { type: slots[0].kind } };
  p.give(outputs[0], p.op('Einsum', slots, p.shape(outputs[0]), how));
};

export const productKernels: Kernels = {
  MatMul: matMul,
  Gemm: gemm,
  'com.microsoft.FusedMatMul': fusedMatMul,
  Einsum: einsum,
  Det: (p, { inputs: [x], outputs: [y] }) =>
    p.give(y, p.op('MatrixDeterminant', [p.read(x, plain(p.shape(x).length))], p.shape(y))),
};
