import { zipSync } from 'fflate';
import { bytesOf, npy } from './files.js';

/** @returns the bytes of an NPZ file of float32 and int64 arrays. */
export function npz(arrays: Readonly<Record<string, [readonly number[], Float32Array | BigInt64Array]>>): Uint8Array {
  const members = Object.entries(arrays).map(([name, [shape, data]]) => {
    return [`${name}.npy`, npy(data instanceof Float32Array ? '<f4' : '<i8', shape, bytesOf(data))] as const;
  });
  return zipSync(Object.fromEntries(members));
}
