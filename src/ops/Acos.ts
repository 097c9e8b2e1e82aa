import { unary } from './unary.js';

/** dy/dx = −1/√(1 − x²). */
export const Acos = unary({
  op: 'Acos',
  range: [-0.8, 0.8],
  grad: (g, { x, dy }) => g.neg(g.div(dy, g.sqrt(g.sub(g.scalar(1, x.dtype), g.mul(x, x))))),
});
