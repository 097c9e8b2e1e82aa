import { unary } from './unary.js';

/** dy/dx = 1/(1 − x²). */
export const Atanh = unary({
  op: 'Atanh',
  since: 9,
  range: [-0.8, 0.8],
  grad: (g, { x, dy }) => g.div(dy, g.sub(g.scalar(1, x.dtype), g.mul(x, x))),
});
