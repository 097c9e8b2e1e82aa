import { makeNode } from '../onnx/make.js';
import { int32, int64, type Tensor } from '../tensor/tensor.js';
import type { ChannelValue, CutNode } from './spec.js';

/** @returns a value's shape in the cut graph. */
export function cutShape(cut: CutNode, value: ChannelValue): number[] {
  return value.shape.map((size, axis) => cut.kept({ value, axis })?.length ?? size);
}

/**
 * Adds `delta` to the integers that input `index` holds: as a new constant where they are the same in every run, else
 * by an Add before the node, so that elements which follow a batch size still do.
 */
export function shiftInts(cut: CutNode, index: number, delta: readonly number[]): void {
  if (delta.every((d) => d === 0)) return;
  const value = cut.inputs[index]!;
  const old = value.known;
  if (old && (old.stable === 'all' || old.stable.every((s) => s !== 0))) {
    cut.setInput(index, added(old.tensor, delta));
    return;
  }
  const name = `${cut.outputs[0].name}/${value.name}/delta`;
  cut.insertBefore(index, (from, to) => makeNode('Add', [from, name], [to], {}, { name: `${name}/Add` }), [
    { name, tensor: integers(value, delta) },
  ]);
}

/**
 * Adds `delta` to sizes that input `index` holds. One that follows a batch is a product of it with what is cut (batch ·
 * heads): it shrinks in proportion.
 */
export function resizeInts(cut: CutNode, index: number, delta: readonly number[]): void {
  const value = cut.inputs[index]!;
  const steps = proportion(value, delta);
  if (!steps) {
    shiftInts(cut, index, delta);
    return;
  }
  for (const { op, by } of steps) {
    const name = `${cut.outputs[0].name}/${value.name}/${op}`;
    cut.insertBefore(index, (from, to) => makeNode(op, [from, `${name}/by`], [to], {}, { name }), [
      { name: `${name}/by`, tensor: integers(value, by) },
    ]);
  }
}

/** Like `resizeInts`, behind output `index`: its readers see the other sizes. */
export function resizeOutput(cut: CutNode, index: number, delta: readonly number[]): void {
  const value = cut.outputs[index];
  // What an earlier call put behind the output comes after what a later one does.
  const steps = proportion(value, delta, (size, d) => [size - d, size])?.toReversed();
  if (!steps) {
    shiftOutput(cut, index, delta);
    return;
  }
  for (const { op, by } of steps) {
    const name = `${value.name}/${op}`;
    cut.insertAfter(index, (from, to) => makeNode(op, [from, `${name}/by`], [to], {}, { name }), [
      { name: `${name}/by`, tensor: integers(value, by) },
    ]);
  }
}

/** @returns what to multiply and to divide sizes by where one that changes from run to run is cut; else nothing. */
function proportion(
  { known }: ChannelValue,
  delta: readonly number[],
  ends: (size: number, delta: number) => readonly [number, number] = (size, d) => [size, size + d],
): { readonly op: 'Mul' | 'Div'; readonly by: number[] }[] | undefined {
  if (!known || known.stable === 'all') return undefined;
  const { stable } = known;
  const sizes = Array.from(known.tensor.data as ArrayLike<number | bigint>, Number);
  if (delta.every((d, i) => d === 0 || stable[i] !== 0)) return undefined;
  if (sizes.some((size, i) => delta[i] !== 0 && size <= 0)) return undefined;
  const factors = sizes.map((size, i) => {
    const [from, to] = delta[i] === 0 ? [1, 1] : ends(size, delta[i]);
    const shared = greatestDivisor(from, to);
    return [to / shared, from / shared];
  });
  return [
    { op: 'Mul', by: factors.map(([times]) => times) },
    { op: 'Div', by: factors.map(([, parts]) => parts) },
  ];
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** Like `shiftInts`, behind output `index`: its readers see the shifted integers. */
function shiftOutput(cut: CutNode, index: number, delta: readonly number[]): void {
  if (delta.every((d) => d === 0)) return;
  const value = cut.outputs[index];
  const name = `${value.name}/delta`;
  cut.insertAfter(index, (from, to) => makeNode('Add', [from, name], [to], {}, { name: `${name}/Add` }), [
    { name, tensor: integers(value, delta) },
  ]);
}

/** An INT64_MAX stays what it is: it would not survive as a number. */
function added({ dtype, dims, data }: Tensor, delta: readonly number[]): Tensor {
  const sum = Array.from(data as ArrayLike<number | bigint>, (x, i) => BigInt(x) + BigInt(delta[i]));
  return dtype === 'int32'
    ? { dtype, dims, data: Int32Array.from(sum, Number) }
    : { dtype, dims, data: BigInt64Array.from(sum) };
}

/** @returns integers in the shape and type of a value. */
function integers(like: ChannelValue, data: readonly number[]): Tensor {
  return like.dtype === 'int32' ? int32(like.shape, data) : int64(like.shape, data);
}
