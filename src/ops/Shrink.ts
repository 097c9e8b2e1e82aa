import { apart } from './examples.js';
import { unary } from './unary.js';

/** y = x + bias below −λ, x − bias above λ, and 0 between: the slope is 1 outside. */
export const Shrink = unary({
  op: 'Shrink',
  since: 9,
  grad: (g, { x, dy, attrs }) => g.where(g.greater(g.abs(x), attrs.float('lambd', 0.5)), dy, 0),
  examples: [
    { title: 'hard', inputs: [apart([2, 3, 4])] },
    { title: 'soft', inputs: [apart([2, 3, 4])], attributes: { bias: { float: 0.3 }, lambd: { float: 0.3 } } },
  ],
});
