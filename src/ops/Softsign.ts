import { unary } from './unary.js';

export const Softsign = unary({
  op: 'Softsign',
  grad: (g, { x, dy }) => {
    const d = g.add(g.abs(x), 1);
    return g.div(dy, g.mul(d, d));
  },
});
