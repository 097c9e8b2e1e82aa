import { Attributes, setAttribute } from '../onnx/attributes.js';
import { makeNode } from '../onnx/make.js';
import { type FloatType, fromFloat32, toFloat32 } from '../tensor/half.js';
import { int64, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { AxisRef, ChannelValue, CutNode } from './spec.js';

/*
 * Channels that are zero whatever the inputs are still count in a mean. Where they are cut, the mean of what is left is made
 * good: by a factor where it is a mean of products alone, else by as many zeros as have gone, which are taken off again behind.
 */

/** @returns how many of an axis are left in the cut graph, and how many there were. */
function counts(cut: CutNode, { value, axis }: AxisRef): { left: number; all: number } {
  const all = value.shape[axis];
  return { left: cut.kept({ value, axis })?.length ?? all, all };
}

/** Makes output `index`, a mean over these axes, that over all channels that there were. */
export function recount(cut: CutNode, index: number, over: readonly AxisRef[]): void {
  const share = over.map((at) => counts(cut, at)).reduce((product, { left, all }) => (product * left) / all, 1);
  if (share !== 1) multiply(cut, index, share);
}

function multiply(cut: CutNode, index: number, factor: number): void {
  const { name, dtype } = cut.outputs[index];
  const given = `${name}/factor`;
  cut.insertAfter(index, (from, to) => makeNode('Mul', [from, given], [to], {}, { name: `${from}/Mul` }), [
    { name: given, tensor: fromFloat32([], Float32Array.of(factor), dtype as FloatType) },
  ]);
}

/** y = x / √(Σx²/n + ε) · g is x / √(Σx²/m + ε·n/m) · g·√(n/m). */
export function recountSquares(cut: CutNode, at: AxisRef, scale: ChannelValue, epsilon: number): void {
  const { left, all } = counts(cut, at);
  if (left === all) return;
  setAttribute(cut.node, 'epsilon', { float: new Attributes(cut.node).float('epsilon', epsilon) * (all / left) });
  const factor = Math.sqrt(all / left);
  const gain = cut.parameter(scale);
  if (!gain) {
    multiply(cut, 0, factor);
    return;
  }
  const data = toFloat32(gain).data.map((x) => x * factor);
  cut.setParameter(scale, fromFloat32(gain.dims, data, gain.dtype as FloatType));
}

/** What a norm over the last axis reads and gives along that axis. */
export interface Normed {
  /** Computed operands. */
  readonly inputs: readonly number[];
  /** Parameters of one number per channel. */
  readonly vectors: readonly number[];
  readonly outputs: readonly ChannelValue[];
}

/** Lets a node go on with as many channels as there were: with zeros behind those that are left. */
export function refill(cut: CutNode, at: AxisRef, { inputs, vectors, outputs }: Normed): void {
  const { left, all } = counts(cut, at);
  if (left === all) return;
  const missing = all - left;
  for (const index of inputs) appendZeros(cut, index, missing);
  for (const index of vectors) {
    const value = cut.inputs[index]!;
    const old = cut.parameter(value);
    if (old) cut.setParameter(value, lengthened(old, missing));
    else appendZeros(cut, index, missing);
  }
  for (const value of outputs) takeFirst(cut, value, left);
}

/** Pads the last axis of an input. */
export function appendZeros(cut: CutNode, index: number, count: number): void {
  const value = cut.inputs[index]!;
  const rank = value.shape.length;
  const pads = Array.from({ length: 2 * rank }, (_, i) => (i === 2 * rank - 1 ? count : 0));
  const pad = `${value.name}/zeros/pads`;
  if (cut.opset < 11) {
    cut.insertBefore(index, (from, to) => makeNode('Pad', [from], [to], { pads }, { name: `${to}/Pad` }));
    return;
  }
  const constants = [{ name: pad, tensor: int64([pads.length], pads) }];
  cut.insertBefore(index, (from, to) => makeNode('Pad', [from, pad], [to], {}, { name: `${to}/Pad` }), constants);
}

/** Leaves of the last axis of an output the first ones. */
export function takeFirst(cut: CutNode, value: ChannelValue, count: number): void {
  const index = cut.node.output.indexOf(value.name);
  const axis = value.shape.length - 1;
  const name = `${value.name}/first`;
  if (cut.opset < 10) {
    const range = { axes: [axis], starts: [0], ends: [count] };
    cut.insertAfter(index, (from, to) => makeNode('Slice', [from], [to], range, { name: `${from}/first` }));
    return;
  }
  const parts = { starts: 0, ends: count, axes: axis };
  const constants = Object.entries(parts).map(([part, n]) => ({ name: `${name}/${part}`, tensor: int64([1], [n]) }));
  const make = (from: string, to: string) =>
    makeNode('Slice', [from, ...constants.map((c) => c.name)], [to], {}, { name: `${from}/first` });
  cut.insertAfter(index, make, constants);
}

function lengthened(old: Tensor, count: number): Tensor {
  const data = new Float32Array(sizeOf(old.dims) + count);
  data.set(toFloat32(old).data);
  return fromFloat32([data.length], data, old.dtype as FloatType);
}
