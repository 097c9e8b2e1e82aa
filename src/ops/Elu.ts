import { unary } from './unary.js';

/** Left of zero y = α(eˣ − 1), so dy/dx = y + α. */
export const Elu = unary({
  op: 'Elu',
  grad: (g, { x, y, dy, attrs }) => g.where(g.less(x, 0), g.mul(dy, g.add(y, attrs.float('alpha', 1))), dy),
  examples: [
    { title: 'default alpha', inputs: [[2, 3, 4]] },
    { title: 'an alpha of its own', inputs: [[2, 3]], attributes: { alpha: { float: 0.5 } } },
  ],
});
