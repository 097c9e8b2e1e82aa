import { Attributes } from '../onnx/attributes.js';
import { Chain } from './chain.js';
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
    const chain = new Chain(node, context);
    const byTanh = new Attributes(node).string('approximate', 'none') === 'tanh';
    (byTanh ? tanhGelu : exactGelu)(chain, node.input[0], node.output[0]);
    return chain.nodes;
  },
  examples: [
    { title: 'exact', inputs: [[2, 3, 4]], opset: 20, range: [-2, 2] },
    { title: 'by tanh', inputs: [[2, 3]], attributes: { approximate: 'tanh' }, opset: 20, range: [-2, 2] },
  ],
});
