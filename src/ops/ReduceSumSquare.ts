import { reduction } from './reduction.js';

export const ReduceSumSquare = reduction({
  op: 'ReduceSumSquare',
  constants: 'zero',
  zeros: 'nothing',
  grad: (g, { x, dy }) => g.mul(x, g.mul(dy, 2)),
});
