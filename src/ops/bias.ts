import { makeNode } from '../onnx/make.js';
import { fromFloat32, isFloat, toFloat32 } from '../tensor/half.js';
import { type DType, sizeOf, stridesOf, type Tensor } from '../tensor/tensor.js';
import type { ChannelValue, CutNode } from './spec.js';

/** Adds `delta[o]` wherever index `o` stands along `axis` of a parameter. @returns false for what is no parameter. */
export function addToParameter(cut: CutNode, bias: ChannelValue, axis: number, delta: Float64Array): boolean {
  const tensor = cut.parameter(bias);
  if (!tensor || tensor.dims[axis] !== delta.length) return false;
  const old = numbersOf(tensor);
  const stride = stridesOf(tensor.dims)[axis];
  const sums = Float64Array.from(old, (x, i) => x + delta[Math.floor(i / stride) % delta.length]);
  cut.setParameter(bias, floatTensor(tensor.dtype, tensor.dims, sums));
  return true;
}

/** Puts an Add of `delta` along one axis behind the node's first output. */
export function addBehind(cut: CutNode, axis: number, delta: Float64Array): void {
  const { dtype, shape } = cut.outputs[0];
  const dims = [delta.length, ...shape.slice(axis + 1).map(() => 1)];
  const tensor = floatTensor(dtype, dims, delta);
  const name = `${cut.outputs[0].name}/bias`;
  cut.insertAfter(0, (from, to) => makeNode('Add', [from, name], [to], {}, { name: `${name}/Add` }), [
    { name, tensor },
  ]);
}

/** Puts an Add of a constant before one of the node's inputs. */
export function addBefore(cut: CutNode, input: number, dims: readonly number[], values: ArrayLike<number>): void {
  const { dtype } = cut.outputs[0];
  const name = `${cut.outputs[0].name}/bias`;
  cut.insertBefore(input, (from, to) => makeNode('Add', [from, name], [to], {}, { name: `${name}/Add` }), [
    { name, tensor: floatTensor(dtype, dims, values) },
  ]);
}

/** @returns a float tensor of the given type. */
export function floatTensor(dtype: DType, dims: readonly number[], values: ArrayLike<number>): Tensor {
  if (values.length !== sizeOf(dims)) throw new RangeError(`${values.length} numbers for [${dims}]`);
  if (dtype === 'float64') return { dtype, dims, data: Float64Array.from(values) };
  if (!isFloat(dtype)) throw new TypeError(`${dtype} is no type of weights`);
  return fromFloat32(dims, Float32Array.from(values), dtype);
}

function numbersOf(tensor: Tensor): Float32Array | Float64Array {
  return tensor.data instanceof Float64Array ? tensor.data : toFloat32(tensor).data;
}
