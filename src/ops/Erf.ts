import { unary } from './unary.js';

/** d erf(x) = 2/√π · exp(−x²). */
export const Erf = unary({
  op: 'Erf',
  since: 9,
  grad: (g, { x, dy }) => g.mul(g.mul(dy, g.exp(g.neg(g.mul(x, x)))), 2 / Math.sqrt(Math.PI)),
});
