import { Attributes } from '../onnx/attributes.js';
import { dtypeCodes } from '../tensor/tensor.js';
import { defineOp } from './spec.js';
import { elementwise } from './unary.js';

const real = new Set(['float32', 'float64', 'float16', 'bfloat16']);

export const Cast = defineOp({
  op: 'Cast',
  inputs: ['input'],
  outputs: ['output'],
  grad: (g, { inputs: [x] }, [dy]) => [real.has(x.dtype) && real.has(dy!.dtype) ? () => g.cast(dy!, x.dtype) : null],
  channels: elementwise,
  /** `saturate` (19) says something of 8-bit floats only. */
  normalise: (node) => {
    if (!new Attributes(node).has('saturate')) return undefined;
    return [{ ...node, attribute: node.attribute.filter((a) => a.name !== 'saturate') }];
  },
  examples: [
    { title: 'float to float', inputs: [[2, 3]], attributes: { to: dtypeCodes.float32 } },
    { title: 'saturate is left out', inputs: [[2, 3]], attributes: { to: dtypeCodes.float32, saturate: 1 }, opset: 19 },
  ],
});
