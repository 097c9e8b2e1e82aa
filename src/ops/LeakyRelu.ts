import { unary } from './unary.js';

export const LeakyRelu = unary({
  op: 'LeakyRelu',
  grad: (g, { x, dy, attrs }) => g.where(g.less(x, 0), g.mul(dy, attrs.float('alpha', 0.01)), dy),
  examples: [
    { title: 'default slope', inputs: [[2, 3, 4]] },
    { title: 'a slope of its own', inputs: [[2, 3]], attributes: { alpha: { float: 0.3 } } },
  ],
});
