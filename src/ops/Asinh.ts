import { unary } from './unary.js';

/** dy/dx = 1/√(x² + 1). */
export const Asinh = unary({
  op: 'Asinh',
  since: 9,
  grad: (g, { x, dy }) => g.div(dy, g.sqrt(g.add(g.mul(x, x), 1))),
});
