import { unary } from './unary.js';

export const Reciprocal = unary({
  op: 'Reciprocal',
  range: [0.5, 2],
  grad: (g, { y, dy }) => g.neg(g.mul(dy, g.mul(y, y))),
});
