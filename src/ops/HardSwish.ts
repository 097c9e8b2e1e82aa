import { unary } from './unary.js';

/** y = x · clip(x/6 + ½, 0, 1): between −3 and 3 its slope is x/3 + ½. */
export const HardSwish = unary({
  op: 'HardSwish',
  since: 14,
  range: [-5, 5],
  grad: (g, { x, dy }) => {
    const slope = g.where(g.less(x, 3), g.add(g.mul(x, 1 / 3), 0.5), 1);
    return g.mul(dy, g.where(g.greater(x, -3), slope, 0));
  },
});
