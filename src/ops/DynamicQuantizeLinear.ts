import { pinAll } from './links.js';
import { defineOp, type Link, refused } from './spec.js';

/**
 * y = round(x / scale) + zero point, both taken from the range of x, 0 included.
 *
 * A channel of zeros leaves the range alone, and then rests at the zero point; any other one may be its end, the constant
 * ones as well. The range is that of all of x: a batch is not told apart.
 */
export const DynamicQuantizeLinear = defineOp({
  op: 'DynamicQuantizeLinear',
  since: 11,
  inputs: ['x'],
  outputs: ['y', 'y_scale', 'y_zero_point'],
  grad: refused('rounding has no gradient; strip works'),
  channels: (node) => {
    const [x] = node.inputs;
    const [y] = node.outputs;
    if (x!.known) return pinAll(node, 'what DynamicQuantizeLinear quantises is a constant');
    const axes = x!.shape.map((_, axis) => axis);
    return {
      links: axes.map((axis): Link => ({ from: { value: x!, axis }, to: { value: y, axis }, constants: 'rest' })),
      contractions: axes.map((axis) => ({ a: { value: x!, axis }, b: { value: x!, axis } })),
    };
  },
  examples: [{ title: 'a sequence', inputs: [[2, 3, 4]], outputs: 3 }],
});
