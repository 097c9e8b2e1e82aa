import { float32 } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { defineOp } from './spec.js';

/** d(aᵇ) = b·aᵇ⁻¹ da + aᵇ·ln a db; where a is not positive, b is taken as fixed. */
export const Pow = defineOp({
  op: 'Pow',
  inputs: ['X', 'Y'],
  outputs: ['Z'],
  grad: (g, { inputs: [a, b], outputs: [y] }, [dy]) => [
    () => {
      const n = b.constant && b.shape.length === 0 ? Number(b.constant.data[0]) : undefined;
      if (n === 2) return g.mul(dy!, g.mul(a, 2));
      if (n !== undefined) return g.mul(dy!, g.mul(g.pow(a, n - 1), n));
      const exponent = g.cast(b, a.dtype);
      return g.mul(dy!, g.mul(g.pow(a, g.sub(exponent, 1)), exponent));
    },
    () => g.mul(dy!, g.mul(y, g.log(g.where(g.greater(a, 0), a, 1)))),
  ],
  channels: (node) => broadcasting(node),
  examples: [
    { title: 'squares', inputs: [[2, 3], float32([], [2])], parameters: [1] },
    { title: 'cubes', inputs: [[2, 3], float32([], [3])], parameters: [1] },
    { title: 'square roots', inputs: [[2, 3], float32([1], [0.5])], parameters: [1], range: [0.3, 2] },
    { title: 'both vary', inputs: [[2, 3], [3]], range: [0.5, 2] },
  ],
});
