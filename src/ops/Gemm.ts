import { Attributes, setAttribute } from '../onnx/attributes.js';
import { sizeOf } from '../tensor/tensor.js';
import { addBehind, addToParameter, floatTensor } from './bias.js';
import { axisOf } from './links.js';
import {
  type AxisRef,
  type ChannelNode,
  type ChannelRelation,
  type ChannelValue,
  type CutNode,
  defineOp,
  type Link,
  type Mix,
} from './spec.js';
import { transposedProduct } from './transposedProduct.js';

/*
 * Y[i,j] = α Σ_k A'[i,k] · B'[k,j] + β C[i,j], with A' and B' the operands or their transposes:
 * dA'[i,k] = α Σ_j dY[i,j] · B'[k,j], dB'[k,j] = α Σ_i A'[i,k] · dY[i,j], dC = β dY.
 */
export const Gemm = defineOp({
  op: 'Gemm',
  inputs: ['A', 'B', 'C?'],
  outputs: ['Y'],
  trains: [0, 1, 2],
  grad: (g, { inputs: [a, b], attrs }, [dy]) => {
    const alpha = attrs.float('alpha', 1);
    const beta = attrs.float('beta', 1);
    const [transA, transB] = [attrs.int('transA', 0) !== 0, attrs.int('transB', 0) !== 0];
    return [
      () =>
        transA ? g.gemm(b, dy!, { transA: transB, transB: true, alpha }) : g.gemm(dy!, b, { transB: !transB, alpha }),
      () =>
        transB
          ? transA
            ? g.gemm(dy!, a, { transA, transB, alpha })
            : transposedProduct(g, dy!, a, alpha)
          : transA
            ? g.gemm(a, dy!, { alpha })
            : transposedProduct(g, a, dy!, alpha),
      () => (beta === 1 ? dy! : g.mul(dy!, beta)),
    ];
  },
  channels: (node) => generalProduct(node),
  macs: gemmMacs,
  examples: [
    { title: 'transB, with bias', inputs: [[3, 4], [5, 4], [5]], parameters: [1, 2], attributes: { transB: 1 } },
    { title: 'plain, no bias', inputs: [[3, 4], [4, 5], null], parameters: [1] },
    {
      title: 'transA',
      inputs: [
        [4, 3],
        [4, 5],
        [1, 5],
      ],
      parameters: [1, 2],
      attributes: { transA: 1 },
    },
    {
      title: 'both transposed',
      inputs: [
        [4, 3],
        [5, 4],
        [3, 5],
      ],
      parameters: [1, 2],
      attributes: { transA: 1, transB: 1 },
    },
    {
      title: 'alpha and beta',
      inputs: [[3, 4], [4, 5], [5]],
      parameters: [1, 2],
      attributes: { alpha: { float: 0.5 }, beta: { float: -2 } },
    },
    {
      title: 'a bias per row',
      inputs: [
        [3, 4],
        [4, 5],
        [3, 1],
      ],
      parameters: [1, 2],
    },
    { title: 'one bias for all', inputs: [[3, 4], [4, 5], []], parameters: [1, 2] },
    {
      title: 'weight on the left',
      inputs: [
        [3, 4],
        [4, 5],
      ],
      parameters: [0],
    },
    {
      title: 'no weight',
      inputs: [
        [3, 4],
        [4, 5],
      ],
    },
  ],
});

/** Adds `delta[o]` to the outputs along `outAxis` of a Gemm; `bias` is its third input where that is one number for each. */
type AddBias = (cut: CutNode, delta: Float64Array, outAxis: 0 | 1, bias: AxisRef | undefined) => void;

/** The channel relation of a Gemm, whatever is done to its output element by element. */
export function generalProduct(node: ChannelNode, addBias: AddBias = addToSum): ChannelRelation {
  const [a, b] = node.inputs;
  const [transA, transB] = [node.attrs.int('transA', 0) !== 0, node.attrs.int('transB', 0) !== 0];
  const left = operand(a!, transA ? 1 : 0);
  const right = operand(b!, transB ? 0 : 1);
  if (b!.known) return mixed(node, left, right, 1, addBias);
  if (a!.known) return mixed(node, right, left, 0, addBias);
  const y = node.outputs[0];
  const why = 'the sum runs over channels of two computed matrices';
  const constants = node.inputs[2] ? 'never' : 'zero';
  const bias = node.inputs[2] ? aligned(node.inputs[2], y) : [];
  return {
    links: [rows(left.free, axisOf(y, 0), constants), rows(right.free, axisOf(y, 1), constants), ...bias],
    pins: [left.summed, right.summed].map((at) => ({ at, why })),
  };
}

export function gemmMacs({ inputs: [a], outputs: [y], attrs }: ChannelNode): number {
  return sizeOf(y.shape) * a!.shape[attrs.int('transA', 0) ? 0 : 1];
}

function addToSum(cut: CutNode, delta: Float64Array, outAxis: 0 | 1, bias: AxisRef | undefined): void {
  const beta = new Attributes(cut.node).float('beta', 1);
  const added = (): boolean => bias !== undefined && beta !== 0 && addToParameter(cut, bias.value, bias.axis, scaled);
  const scaled = delta.map((d) => d / beta);
  if (!cut.inputs[2]) setBias(cut, delta, outAxis);
  else if (!added()) addBehind(cut, outAxis, delta);
}

/** Gives a Gemm whose third input counts for nothing one of a number per output along `outAxis`. */
export function setBias(cut: CutNode, bias: Float64Array, outAxis: 0 | 1): void {
  if (new Attributes(cut.node).float('beta', 1) !== 1) setAttribute(cut.node, 'beta', { float: 1 });
  cut.setInput(2, floatTensor(cut.outputs[0].dtype, biasShape(bias.length, outAxis), bias));
}

/** @returns a shape that broadcasts along one axis of a matrix. */
export function biasShape(size: number, outAxis: 0 | 1): number[] {
  return outAxis === 1 ? [size] : [size, 1];
}

interface Operand {
  readonly value: ChannelValue;
  readonly free: AxisRef;
  readonly summed: AxisRef;
}

function operand(value: ChannelValue, free: 0 | 1): Operand {
  return { value, free: axisOf(value, free), summed: axisOf(value, 1 - free) };
}

function rows(from: AxisRef, to: AxisRef, constants: Link['constants']): Link {
  return { from, to, constants };
}

/** The relation where `weight` is known: `outAxis` is the axis of Y that runs along the weight's free axis. */
function mixed(node: ChannelNode, input: Operand, weight: Operand, outAxis: 0 | 1, addBias: AddBias): ChannelRelation {
  const y = node.outputs[0];
  const c = node.inputs[2];
  const bias = c && plainBias(c, y, outAxis);
  const mix: Mix = {
    input: input.summed,
    output: axisOf(y, outAxis),
    weight: weight.value,
    inAxis: weight.summed.axis,
    outAxis: weight.free.axis,
    groups: 1,
    blocked: 'in',
    scale: node.attrs.float('alpha', 1),
    border: false,
    ...(bias && { bias }),
    addBias: (cut, delta) => addBias(cut, delta, outAxis, bias),
  };
  const links: Link[] = [rows(input.free, axisOf(y, 1 - outAxis), c ? 'never' : 'zero')];
  if (c && !bias) links.push(...aligned(c, y));
  return { mixes: [mix], links };
}

/** @returns C where it is one known number per output channel. */
function plainBias(c: ChannelValue, y: ChannelValue, outAxis: number): AxisRef | undefined {
  const axis = outAxis - 2 + c.shape.length;
  const fits = c.known && c.shape[axis] === y.shape[outAxis] && sizeOf(c.shape) === y.shape[outAxis];
  return fits ? { value: c, axis } : undefined;
}

/** Links of the axes of C that are not broadcast. */
function aligned(c: ChannelValue, y: ChannelValue): Link[] {
  return c.shape.flatMap((size, axis): Link[] => {
    const to = axis - c.shape.length + 2;
    return size === y.shape[to] ? [{ from: { value: c, axis }, to: { value: y, axis: to }, constants: 'same' }] : [];
  });
}
