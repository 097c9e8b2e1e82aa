import { reduction } from './reduction.js';

/** x/‖x‖, and 0 where the norm is 0. */
export const ReduceL2 = reduction({
  op: 'ReduceL2',
  constants: 'zero',
  zeros: 'nothing',
  grad: (g, { x, y, dy }) => g.mul(x, g.div(dy, g.where(g.greater(y, 0), y, 1))),
});
