import type { GraphBuilder, Value } from '../onnx/builder.js';
import { sizeOf } from '../tensor/tensor.js';
import { addBehind } from './bias.js';
import { axisOf } from './links.js';
import {
  type AxisRef,
  type ChannelNode,
  type ChannelRelation,
  type ChannelValue,
  defineOp,
  type Link,
} from './spec.js';
import { transposedProduct } from './transposedProduct.js';

/*
 * Y[…,i,j] = Σ_k A[…,i,k] · B[…,k,j]: dA[…,i,k] = Σ_j dY[…,i,j] · B[…,k,j], dB[…,k,j] = Σ_i A[…,i,k] · dY[…,i,j].
 * A vector on the left is a row, one on the right a column, and Y lacks that axis.
 */
export const MatMul = defineOp({
  op: 'MatMul',
  inputs: ['A', 'B'],
  outputs: ['Y'],
  trains: [0, 1],
  grad: (g, { inputs: [a, b] }, [dy]) => {
    const whole = (): Value => matrixOf(g, dy!, a, b);
    const left = (): Value => (a.shape.length === 1 ? g.reshape(a, [1, a.shape[0]]) : a);
    const right = (): Value => (b.shape.length === 1 ? g.reshape(b, [b.shape[0], 1]) : b);
    return [() => leftGradient(g, whole(), right()), () => rightGradient(g, whole(), left(), b)];
  },
  channels: (node) => product(node),
  macs: ({ inputs: [a], outputs: [y] }) => sizeOf(y.shape) * a!.shape[a!.shape.length - 1],
  examples: [
    {
      title: 'matrices',
      inputs: [
        [3, 4],
        [4, 5],
      ],
      parameters: [1],
    },
    {
      title: 'weight after a sequence',
      inputs: [
        [2, 3, 4],
        [4, 5],
      ],
      parameters: [1],
    },
    {
      title: 'weight on the left',
      inputs: [
        [3, 4],
        [2, 4, 5],
      ],
      parameters: [0],
    },
    {
      title: 'batches on both sides',
      inputs: [
        [2, 3, 4],
        [2, 4, 5],
      ],
    },
    {
      title: 'batches that broadcast',
      inputs: [
        [2, 1, 3, 4],
        [3, 4, 2],
      ],
    },
    {
      title: 'batched weight',
      inputs: [
        [2, 3, 4],
        [2, 4, 5],
      ],
      parameters: [1],
    },
    { title: 'a vector on the left', inputs: [[4], [2, 4, 3]], parameters: [1] },
    { title: 'a vector on the right', inputs: [[2, 3, 4], [4]], parameters: [1] },
    { title: 'two vectors', inputs: [[4], [4]] },
  ],
});

/** dY with the axes that a vector operand took from it. */
function matrixOf(g: GraphBuilder, dy: Value, a: Value, b: Value): Value {
  const shape = [...dy.shape];
  if (b.shape.length === 1) shape.push(1);
  if (a.shape.length === 1) shape.splice(-1, 0, 1);
  return g.reshape(dy, shape);
}

function leftGradient(g: GraphBuilder, dy: Value, b: Value): Value {
  if (dy.shape.length === 2 && b.shape.length === 2) return g.gemm(dy, b, { transB: true });
  return g.matMul(dy, swapLast(g, b));
}

function rightGradient(g: GraphBuilder, dy: Value, a: Value, b: Value): Value {
  if (b.shape.length > 2) return g.matMul(swapLast(g, a), dy);
  const [k, j] = [a.shape.at(-1)!, dy.shape.at(-1)!];
  // One product over all rows, where the batched one would have to be summed.
  const rows = sizeOf(a.shape) / k;
  const together = transposedProduct(g, g.reshape(a, [rows, k]), g.reshape(dy, [rows, j]));
  return g.reshape(together, b.shape);
}

function swapLast(g: GraphBuilder, x: Value): Value {
  const rank = x.shape.length;
  return g.transpose(x, [...x.shape.slice(2).map((_, i) => i), rank - 1, rank - 2]);
}

/** The channel relation of A'·B' times a number, where an operand may be the transpose of what is given. */
export function product(
  { inputs: [a, b], outputs: [y] }: ChannelNode,
  { transA = false, transB = false, scale = 1 }: { transA?: boolean; transB?: boolean; scale?: number } = {},
): ChannelRelation {
  const [left, right] = [operand(a!, 'left', transA), operand(b!, 'right', transB)];
  const outer = [...outerLinks(left, y, b!), ...outerLinks(right, y, a!)];
  if (b!.known && right.free) return mixed(outer, left, right, axisOf(y, -1), scale);
  if (a!.known && left.free) return mixed(outer, right, left, axisOf(y, b!.shape.length === 1 ? -1 : -2), scale);
  if (!a!.known && !b!.known)
    return { links: outer, combine: 'product', contractions: [{ a: left.summed, b: right.summed }] };
  const why = 'a product with a vector leaves no channels';
  return { links: outer, combine: 'product', pins: [left.summed, right.summed].map((at) => ({ at, why })) };
}

interface Operand {
  readonly value: ChannelValue;
  readonly side: 'left' | 'right';
  readonly summed: AxisRef;
  /** The matrix's other axis; a vector has none. */
  readonly free?: AxisRef;
}

function operand(value: ChannelValue, side: 'left' | 'right', transposed: boolean): Operand {
  if (value.shape.length === 1) return { value, side, summed: axisOf(value, 0) };
  const [summed, free] = (side === 'left') !== transposed ? [-1, -2] : [-2, -1];
  return { value, side, summed: axisOf(value, summed), free: axisOf(value, free) };
}

/** Every axis that is not summed over is an axis of Y: rows or columns, and the batch axes that align from the right. */
function outerLinks({ value, side, free }: Operand, y: ChannelValue, other: ChannelValue): Link[] {
  const links: Link[] = [];
  const link = (axis: number, to: number): void => {
    if (value.shape[axis] !== y.shape[to]) return;
    links.push({ from: { value, axis }, to: { value: y, axis: to }, constants: 'zero' });
  };
  const vector = other.shape.length === 1;
  const lead = y.shape.length - (free && !vector ? 2 : 1);
  for (let i = 1; i <= value.shape.length - 2; i++) link(value.shape.length - 2 - i, lead - i);
  if (free && !value.known) {
    link(free.axis, side === 'left' && !vector ? y.shape.length - 2 : y.shape.length - 1);
  }
  return links;
}

function mixed(
  links: readonly Link[],
  input: Operand,
  weight: Operand,
  output: AxisRef,
  scale: number,
): ChannelRelation {
  const batches = sizeOf(weight.value.shape.slice(0, -2));
  return {
    links,
    combine: 'product',
    mixes: [
      {
        input: input.summed,
        output,
        weight: weight.value,
        inAxis: weight.summed.axis,
        outAxis: weight.free!.axis,
        groups: 1,
        blocked: 'in',
        scale,
        border: batches > 1, // every batch sums weights of its own
        addBias: (cut, delta) => addBehind(cut, output.axis, delta),
      },
    ],
  };
}
