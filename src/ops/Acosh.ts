import { unary } from './unary.js';

/** dy/dx = 1/√(x² − 1). */
export const Acosh = unary({
  op: 'Acosh',
  since: 9,
  range: [1.5, 3],
  grad: (g, { x, dy }) => g.div(dy, g.sqrt(g.sub(g.mul(x, x), 1))),
});
