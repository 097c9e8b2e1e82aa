import { unary } from './unary.js';

/** Left of zero y = α(exp(x/α) − 1), so dy/dx = y/α + 1. */
export const Celu = unary({
  op: 'Celu',
  since: 12,
  grad: (g, { x, y, dy, attrs }) =>
    g.where(g.less(x, 0), g.mul(dy, g.add(g.mul(y, 1 / attrs.float('alpha', 1)), 1)), dy),
  examples: [
    { title: 'default alpha', inputs: [[2, 3, 4]] },
    { title: 'an alpha of its own', inputs: [[2, 3]], attributes: { alpha: { float: 0.5 } } },
  ],
});
