import { Random } from '../tensor/random.js';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.js';
import type { Example } from './spec.js';

/** @returns the ways in which two operands can broadcast, for every operator that allows it. */
export function broadcastExamples(range?: readonly [number, number]): Example[] {
  const drawn = range ? { range } : {};
  return [
    {
      title: 'equal shapes',
      inputs: [
        [2, 3, 4],
        [2, 3, 4],
      ],
      ...drawn,
    },
    {
      title: 'a value per channel, NCHW',
      inputs: [
        [2, 3, 2, 2],
        [3, 1, 1],
      ],
      parameters: [1],
      ...drawn,
    },
    { title: 'a value per feature', inputs: [[4], [2, 3, 4]], parameters: [0], ...drawn },
    {
      title: 'a gate per sample and channel',
      inputs: [
        [2, 3, 2, 2],
        [2, 3, 1, 1],
      ],
      ...drawn,
    },
    {
      title: 'both operands broadcast',
      inputs: [
        [3, 1],
        [1, 4],
      ],
      ...drawn,
    },
    { title: 'a scalar', inputs: [[2, 3], []], parameters: [1], ...drawn },
  ];
}

/** @returns a tensor whose values lie far apart, in scrambled order: a small step changes no maximum. */
export function apart(dims: readonly number[]): Tensor {
  const size = sizeOf(dims);
  const order = new Random(size).permutation(size);
  return float32(
    dims,
    Array.from(order, (rank) => (2 * rank + 1) / size - 1),
  );
}

export function uint8(dims: readonly number[], data: readonly number[]): Tensor {
  return { dtype: 'uint8', dims, data: Uint8Array.from(data) };
}

/** @returns whole numbers of a quantised type, scattered over its range, or a part of it. */
export function quantised(dtype: 'uint8' | 'int8' | 'int32', dims: readonly number[], range = 256): Tensor {
  const numbers = Array.from({ length: sizeOf(dims) }, (_, i) => (i * 89 + 41) % range);
  if (dtype === 'uint8') return { dtype, dims, data: Uint8Array.from(numbers) };
  const centred = numbers.map((n) => n - range / 2);
  return dtype === 'int8'
    ? { dtype, dims, data: Int8Array.from(centred) }
    : { dtype, dims, data: Int32Array.from(centred) };
}

/** @returns one number of a quantised type: a zero point. */
export function zeroPoint(dtype: 'uint8' | 'int8' | 'int32', at: number): Tensor {
  const data = { uint8: Uint8Array, int8: Int8Array, int32: Int32Array }[dtype].from([at]);
  return { dtype, dims: [], data };
}
