import { reduction } from './reduction.js';

/** y = ln Σx, so dx = dy / Σx = dy · e⁻ʸ. */
export const ReduceLogSum = reduction({
  op: 'ReduceLogSum',
  constants: 'never',
  range: [0.5, 2],
  grad: (g, { y, dy }) => g.mul(dy, g.exp(g.neg(y))),
});
