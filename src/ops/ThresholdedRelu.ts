import { unary } from './unary.js';

export const ThresholdedRelu = unary({
  op: 'ThresholdedRelu',
  since: 10,
  grad: (g, { x, dy, attrs }) => g.where(g.greater(x, attrs.float('alpha', 1)), dy, 0),
  examples: [{ title: 'a threshold', inputs: [[2, 3, 4]], attributes: { alpha: { float: 0.2 } } }],
});
