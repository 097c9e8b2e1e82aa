import { reduction } from './reduction.js';

export const ReduceMean = reduction({
  op: 'ReduceMean',
  constants: 'same',
  zeros: 'count',
  grad: (g, { dy, count }) => g.mul(dy, 1 / count),
});
