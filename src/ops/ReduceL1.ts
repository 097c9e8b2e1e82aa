import { reduction } from './reduction.js';

export const ReduceL1 = reduction({
  op: 'ReduceL1',
  constants: 'zero',
  zeros: 'nothing',
  grad: (g, { x, dy }) => g.where(g.less(x, 0), g.neg(dy), dy),
});
