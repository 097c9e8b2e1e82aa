import { reduction } from './reduction.js';

/** Positions that share the extremum share its gradient. */
export const ReduceMax = reduction({
  op: 'ReduceMax',
  constants: 'same',
  grad: (g, { x, y, dy, axes }) => {
    const chosen = g.cast(g.equal(x, y), x.dtype);
    return g.mul(chosen, g.div(dy, g.reduceSum(chosen, axes, true)));
  },
});
