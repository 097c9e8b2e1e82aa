import { unary } from './unary.js';

export const Sigmoid = unary({
  op: 'Sigmoid',
  grad: (g, { y, dy }) => g.mul(dy, g.mul(y, g.sub(g.scalar(1, y.dtype), y))),
});
