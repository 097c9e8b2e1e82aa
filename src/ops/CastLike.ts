import { isFloat } from '../tensor/half.js';
import { axisOf } from './links.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

/** Of the second operand only the element type is read: its channels are free. */
export const CastLike = defineOp({
  op: 'CastLike',
  since: 15,
  inputs: ['input', 'target_type'],
  outputs: ['output'],
  grad: (g, { inputs: [x] }, [dy]) => [
    isFloat(x.dtype) && isFloat(dy!.dtype) ? () => g.cast(dy!, x.dtype) : null,
    null,
  ],
  channels: (node) => ({
    ...elementwise(node),
    free: node.inputs[1]!.shape.map((_, axis) => axisOf(node.inputs[1]!, axis)),
  }),
  examples: [{ title: 'float to float', inputs: [[2, 3], [4]], parameters: [1] }],
});
