import { Attributes } from '../onnx/attributes.js';
import { Formula } from './formula.js';
import { exactGelu, tanhGelu } from './geluForm.js';
import { defineOp, refused } from './spec.js';
import { elementwise } from './unary.js';

/** y = x·Φ(x), or its approximation by tanh. Opset 18 has no Gelu: the training graph spells it out. */
export const Gelu = defineOp({
  op: 'Gelu',
  since: 20,
  inputs: ['X'],
  outputs: ['Y'],
  grad: refused('it has the gradient of the standard operators that it is spelt in'),
  channels: elementwise,
  normalise: (node, context) => {
    const formula = new Formula(node, context);
    const byTanh = new Attributes(node).string('approximate', 'none') === 'tanh';
    (byTanh ? tanhGelu : exactGelu)(formula, node.input[0], node.output[0]);
    return formula.nodes;
  },
  examples: [
    { title: 'exact', inputs: [[2, 3, 4]], opset: 20, range: [-2, 2] },
    { title: 'by tanh', inputs: [[2, 3]], attributes: { approximate: 'tanh' }, opset: 20, range: [-2, 2] },
  ],
});
