import { endianness } from 'node:os';
import { float16ToFloat32 } from '../tensor/half.js';
import type { RawArray } from './dataset.js';

/** Bytes of one value, by type, for the types that array files hold. */
export const elementBytes = {
  bool: 1,
  uint8: 1,
  int8: 1,
  uint16: 2,
  int16: 2,
  uint32: 4,
  int32: 4,
  uint64: 8,
  int64: 8,
  float16: 2,
  float32: 4,
  float64: 8,
} as const;

export type ElementType = keyof typeof elementBytes;

/** @returns the values of a file's bytes: bytes as they are, integers of 32 bits and more as float64, all else as float32. */
export function decodeElements(bytes: Uint8Array, type: ElementType, littleEndian: boolean): RawArray {
  if (type === 'uint8' || type === 'bool') return bytes;
  const size = elementBytes[type];
  const native = littleEndian === (endianness() === 'LE');
  const aligned = native && bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  if (!native) swap(aligned, size);
  const { buffer, byteOffset } = aligned;
  const length = Math.floor(bytes.length / size);
  switch (type) {
    case 'int8':
      return Float32Array.from(new Int8Array(buffer, byteOffset, length));
    case 'uint16':
      return Float32Array.from(new Uint16Array(buffer, byteOffset, length));
    case 'int16':
      return Float32Array.from(new Int16Array(buffer, byteOffset, length));
    case 'uint32':
      return Float64Array.from(new Uint32Array(buffer, byteOffset, length));
    case 'int32':
      return Float64Array.from(new Int32Array(buffer, byteOffset, length));
    case 'uint64':
      return numbers(new BigUint64Array(buffer, byteOffset, length));
    case 'int64':
      return numbers(new BigInt64Array(buffer, byteOffset, length));
    case 'float16':
      return float16ToFloat32(new Uint16Array(buffer, byteOffset, length));
    case 'float32':
      return new Float32Array(buffer, byteOffset, length);
    case 'float64':
      return Float32Array.from(new Float64Array(buffer, byteOffset, length));
  }
}

/** @returns the same values in the narrowest array that holds them without loss. */
export function narrow(data: RawArray): RawArray {
  if (data instanceof Uint8Array) return data;
  let bytes = true;
  for (let i = 0; i < data.length && bytes; i++) bytes = (data[i] & 255) === data[i];
  if (bytes) return Uint8Array.from(data);
  if (data instanceof Float32Array) return data;
  for (let i = 0; i < data.length; i++) if (Math.fround(data[i]) !== data[i]) return data;
  return Float32Array.from(data);
}

/** @returns the place of the first value that is NaN or infinite, or -1. */
export function firstNonFinite(data: RawArray): number {
  if (data instanceof Uint8Array) return -1;
  for (let i = 0; i < data.length; i++) if (!(data[i] - data[i] === 0)) return i;
  return -1;
}

function numbers(values: BigInt64Array | BigUint64Array): Float64Array {
  const out = new Float64Array(values.length);
  for (let i = 0; i < out.length; i++) out[i] = Number(values[i]);
  return out;
}

function swap(bytes: Uint8Array, size: number): void {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length - (bytes.length % size));
  if (size === 2) whole.swap16();
  else if (size === 4) whole.swap32();
  else if (size === 8) whole.swap64();
}
