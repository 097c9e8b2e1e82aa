import { unary } from './unary.js';

export const HardSigmoid = unary({
  op: 'HardSigmoid',
  grad: (g, { y, dy, attrs }) => {
    const inside = g.and(g.greater(y, 0), g.less(y, 1));
    return g.where(inside, g.mul(dy, attrs.float('alpha', 0.2)), 0);
  },
  examples: [
    { title: 'defaults', inputs: [[2, 3, 4]], range: [-4, 4] },
    {
      title: 'the one of MobileNetV3',
      inputs: [[2, 3]],
      attributes: { alpha: { float: 1 / 6 }, beta: { float: 0.5 } },
      range: [-5, 5],
    },
  ],
});
