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
