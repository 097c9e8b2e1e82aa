import { makeNode } from '../onnx/make.js';
import { int64, sizeOf, stridesOf, type Tensor, type TensorData } from '../tensor/tensor.js';
import type { CutNode } from './spec.js';

/**
 * Makes input `index` hold the kept indices of some axes alone, where the channels of these axes are gone from the
 * node's other operands but not from this one: by a new constant, or by a Gather before the node where it is computed.
 */
export function selectAlong(cut: CutNode, index: number, kept: readonly (Int32Array | undefined)[]): void {
  const value = cut.inputs[index]!;
  if (value.known?.stable === 'all') {
    const tensor = kept.reduce((t: Tensor, list, axis) => (list ? taken(t, axis, list) : t), value.known.tensor);
    if (tensor !== value.known.tensor) cut.setInput(index, tensor);
    return;
  }
  kept.forEach((list, axis) => {
    if (!list) return;
    const name = `${value.name}/kept of axis ${axis}`;
    const constant = { name, tensor: int64([list.length], Array.from(list)) };
    cut.insertBefore(
      index,
      (from, to) => makeNode('Gather', [from, name], [to], { axis }, { name: `${name}/Gather` }),
      [constant],
    );
  });
}

/** @returns the given indices of one axis of a tensor. */
export function taken(tensor: Tensor, axis: number, indices: ArrayLike<number>): Tensor {
  const { dtype, data } = tensor;
  if (Array.isArray(data)) throw new TypeError('strings have no channels');
  const block = stridesOf(tensor.dims)[axis];
  const dims = tensor.dims.map((d, a) => (a === axis ? indices.length : d));
  const outer = sizeOf(dims.slice(0, axis));
  const made = data.slice(0, 0).constructor as new (size: number) => Exclude<TensorData, string[]>;
  const answer = new made(sizeOf(dims)) as Float32Array;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < indices.length; i++) {
      const from = (o * tensor.dims[axis] + indices[i]) * block;
      answer.set((data as Float32Array).subarray(from, from + block), (o * indices.length + i) * block);
    }
  }
  return { dtype, dims, data: answer };
}
