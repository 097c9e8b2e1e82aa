import { reduction } from './reduction.js';

export const ReduceLogSumExp = reduction({
  op: 'ReduceLogSumExp',
  constants: 'never',
  grad: (g, { x, y, dy }) => g.mul(dy, g.exp(g.sub(x, y))),
});
