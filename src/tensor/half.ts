import { type DType, sizeOf, type Tensor } from './tensor.js';

/** Element types that hold real numbers and can be trained after conversion to float32. */
export const floatTypes = ['float32', 'float16', 'bfloat16', 'float64'] as const;

export type FloatType = (typeof floatTypes)[number];

export function isFloat(dtype: DType): dtype is FloatType {
  return floatTypes.some((f) => f === dtype);
}

/**
 * @returns the tensor with its elements as float32: exact for float16 and bfloat16, nearest for wider types. A float32
 * tensor comes back as it is. Throws a TypeError for strings, complex, 8-bit float and 4-bit types.
 */
export function toFloat32(tensor: Tensor): Tensor & { readonly data: Float32Array } {
  return { dtype: 'float32', dims: tensor.dims, data: float32Data(tensor) };
}

function float32Data({ dtype, data }: Tensor): Float32Array {
  if (dtype === 'float16' && data instanceof Uint16Array) return float16ToFloat32(data);
  if (dtype === 'bfloat16' && data instanceof Uint16Array) return bfloat16ToFloat32(data);
  if (dtype === 'float32' && data instanceof Float32Array) return data;
  if (Array.isArray(data) || !plainNumbers.has(dtype)) throw new TypeError(`no float32 from ${dtype}`);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return Float32Array.from(data);
}

const plainNumbers: ReadonlySet<DType> = new Set<DType>([
  'float64',
  'int8',
  'uint8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
  'bool',
]);

/** @returns float32 numbers as a tensor of another float type, rounded to nearest, ties to even. */
export function fromFloat32(dims: readonly number[], data: Float32Array, dtype: FloatType): Tensor {
  if (data.length !== sizeOf(dims)) throw new TypeError(`${data.length} numbers for shape [${dims}]`);
  if (dtype === 'float16') return { dtype, dims, data: float32ToFloat16(data) };
  if (dtype === 'bfloat16') return { dtype, dims, data: float32ToBfloat16(data) };
  if (dtype === 'float64') return { dtype, dims, data: Float64Array.from(data) };
  return { dtype, dims, data };
}

/** @returns the numbers of IEEE binary16 bit patterns, exactly. */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  float16Values ??= Float32Array.from({ length: 2 ** 16 }, (_, b) => float16Value(b));
  const values = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = float16Values[bits[i]];
  return values;
}

let float16Values: Float32Array | undefined;

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** @returns IEEE binary16 bit patterns, rounded to nearest, ties to even; too large numbers become infinite. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const sign = (bits[i] >>> 16) & 0x8000;
    const magnitude = bits[i] & 0x7fffffff;
    if (magnitude > 0x7f800000) out[i] = sign | 0x7e00;
    else if (magnitude >= 0x477ff000) out[i] = sign | 0x7c00;
    // Below 2⁻¹⁴ halves are multiples of 2⁻²⁴. Adding 2⁵² makes float64 do the rounding.
    else if (magnitude < 0x38800000) out[i] = sign | (Math.abs(values[i]) * 2 ** 24 + 2 ** 52 - 2 ** 52);
    else out[i] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
  }
  return out;
}

/** @returns the numbers of bfloat16 bit patterns (the upper half of float32), exactly. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const wide = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) wide[i] = bits[i] << 16;
  return new Float32Array(wide.buffer);
}

/** @returns bfloat16 bit patterns, rounded to nearest, ties to even. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const bits = bitsOf(values);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < out.length; i++) {
    const upper = bits[i] >>> 16;
    const unordered = (bits[i] & 0x7fffffff) > 0x7f800000;
    out[i] = unordered ? upper | 0x40 : (bits[i] + 0x7fff + (upper & 1)) >>> 16;
  }
  return out;
}

function bitsOf(values: Float32Array): Uint32Array {
  return new Uint32Array(values.buffer, values.byteOffset, values.length);
}
