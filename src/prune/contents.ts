import { isFloat, toFloat32 } from '../tensor/half.js';
import { blank, type Numbers, sizeOf, type Tensor } from '../tensor/tensor.js';

/** @returns a tensor's elements as numbers, or undefined for what holds none (strings, packed and 8-bit float types). */
export function numbersOf(tensor: Tensor): ArrayLike<number> | undefined {
  const { dtype, data } = tensor;
  if (Array.isArray(data)) return undefined;
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Array.from(data, Number);
  if (dtype === 'float64' && data instanceof Float64Array) return data;
  if (isFloat(dtype)) return toFloat32(tensor).data;
  const whole = ['uint8', 'int8', 'uint16', 'int16', 'int32', 'uint32', 'bool'].includes(dtype);
  return whole ? (data as Exclude<typeof data, BigInt64Array | BigUint64Array>) : undefined;
}

/** @returns the tensor with only the kept indices of one axis, its elements bit by bit. */
export function gather(tensor: Tensor, axis: number, kept: ArrayLike<number>): Tensor {
  const { dtype, dims } = tensor;
  const inner = sizeOf(dims.slice(axis + 1));
  const outer = sizeOf(dims.slice(0, axis));
  const size = dims[axis];
  const cut = dims.map((d, a) => (a === axis ? kept.length : d));
  const { data } = tensor;
  if (Array.isArray(data)) {
    const out: string[] = [];
    for (let o = 0; o < outer; o++) {
      for (let k = 0; k < kept.length; k++)
        out.push(...data.slice((o * size + kept[k]) * inner, (o * size + kept[k] + 1) * inner));
    }
    return { dtype, dims: cut, data: out };
  }
  const out = blank(data, sizeOf(cut));
  let at = 0;
  for (let o = 0; o < outer; o++) {
    const from = o * size;
    if (inner === 1) for (let k = 0; k < kept.length; k++) out[at++] = data[from + kept[k]];
    else {
      for (let k = 0; k < kept.length; k++, at += inner) {
        const start = (from + kept[k]) * inner;
        (out as Float32Array).set((data as Float32Array).subarray(start, start + inner), at);
      }
    }
  }
  return { dtype, dims: cut, data: out };
}

/** @returns a copy of a tensor that may be written to. */
export function copyOf<T extends Tensor>(tensor: T): T {
  return { ...tensor, data: tensor.data.slice() };
}

/** Whether two tensors hold the same bits. */
export function identical(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || a.dims.length !== b.dims.length || a.dims.some((d, i) => d !== b.dims[i])) return false;
  if (Array.isArray(a.data) || Array.isArray(b.data)) {
    return Array.isArray(a.data) && Array.isArray(b.data) && a.data.every((s, i) => s === (b.data as string[])[i]);
  }
  return Buffer.compare(bytes(a.data), bytes(b.data)) === 0;
}

function bytes(data: Numbers): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
