import { int64 } from '../tensor/tensor.js';
import { broadcasting } from './broadcast.js';
import { defineOp } from './spec.js';

/** Of floats (`fmod = 1`), y = a − b·trunc(a/b): dy/da = 1, dy/db = −trunc(a/b). */
export const Mod = defineOp({
  op: 'Mod',
  since: 10,
  inputs: ['A', 'B'],
  outputs: ['C'],
  grad: (g, { inputs: [a, b] }, [dy]) => [
    () => dy!,
    () => {
      const ratio = g.div(a, b);
      return g.neg(g.mul(dy!, g.mul(g.unary('Sign', ratio), g.unary('Floor', g.abs(ratio)))));
    },
  ],
  channels: (node) => broadcasting(node),
  examples: [
    { title: 'of floats', inputs: [[2, 3], [3]], attributes: { fmod: 1 }, range: [0.3, 1] },
    { title: 'of integers', inputs: [int64([2, 3], [-4, 5, 6, 7, -8, 9]), int64([], [3])] },
  ],
});
