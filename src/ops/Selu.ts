import { unary } from './unary.js';

/** Left of zero y = γα(eˣ − 1), so dy/dx = y + γα; right of it γ. */
export const Selu = unary({
  op: 'Selu',
  grad: (g, { x, y, dy, attrs }) => {
    const gamma = attrs.float('gamma', 1.0507009873554805);
    const alpha = attrs.float('alpha', 1.6732632423543772);
    return g.mul(dy, g.where(g.less(x, 0), g.add(y, gamma * alpha), gamma));
  },
});
