import { describe, expect, test } from 'vitest';
import { float32, sizeOf, stridesOf, type Tensor } from '../../src/tensor/tensor.js';
import { transpose } from '../../src/tensor/transpose.js';

function counted(dims: readonly number[]): Tensor {
  return float32(
    dims,
    Float32Array.from({ length: sizeOf(dims) }, (_, i) => i),
  );
}

describe('transpose', () => {
  test.each([
    [
      [70, 45],
      [1, 0],
    ],
    [
      [3, 4],
      [0, 1],
    ],
    [
      [2, 3, 4],
      [2, 0, 1],
    ],
    [
      [2, 3, 4],
      [1, 0, 2],
    ],
    [
      [2, 33, 4, 35],
      [0, 3, 2, 1],
    ],
    [[5], [0]],
    [
      [0, 3],
      [1, 0],
    ],
  ])('every element of %j finds its place by %j', (dims, perm) => {
    const given = counted(dims);
    const { dims: out, data } = transpose(given, perm);
    expect(out).toEqual(perm.map((a) => dims[a]));
    const [from, to] = [stridesOf(dims), stridesOf(out)];
    for (let i = 0; i < data.length; i++) {
      const source = perm.reduce((sum, a, axis) => sum + (Math.floor(i / to[axis]) % out[axis]) * from[a], 0);
      expect(data[i]).toBe(source);
    }
  });
});
