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

/** Like `shiftInts`, behind output `index`: its readers see the shifted integers. */
export function shiftOutput(cut: CutNode, index: number, delta: readonly number[]): void {
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
